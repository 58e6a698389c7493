"""Curves over steps as an SVG that the page's own style sheet colours, drawn by pygal.

pygal scales, ticks and draws. Its style, its script and its identifiers are taken out again: the page has no script,
and light and dark are a matter of CSS variables. What a plot shows is also said in words, for those who do not see it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

import pygal
from pygal.style import Style

from reid_smoke.report.thin import Point, thin

TICKS = 4  # about as many
LOG_FROM = 4  # times the least height must be the greatest before powers of ten are the better scale
NEAR = 15  # pixels under which two labels of the right axis would touch
_PLACE = re.compile(r' (?:d|x|y)="[^"]*"')  # attributes that hold pixels
_NUMBER = re.compile(r"-?\d+\.\d+")
_STYLE = Style(font_family="inherit", label_font_size=12, major_label_font_size=12)


@dataclass(frozen=True)
class Line:
    """One curve. `look` is the class that the page's style sheet draws it by."""

    name: str
    points: Sequence[Point]
    look: str = "one"  # one, two, three; chance, bar; mark


@dataclass(frozen=True)
class Axes:
    """What the curves stand in: steps (first, last), and heights as they are or as powers of ten."""

    steps: tuple[int, int]
    window: tuple[int, int] | None = None
    log: bool = False  # a scale in powers of ten, where the heights differ enough for one
    floor: float | None = None  # the height that the axis goes down to at least
    right: tuple[tuple[str, float], ...] = ()  # labels of a second axis at heights of the first


def draw(lines: Sequence[Line], axes: Axes, *, title: str, description: str, key: str, size: tuple[int, int]) -> str:
    """The SVG, `size` pixels wide and high. key: makes the ids of its title and description the page's only ones."""
    over = [y for line in lines for _, y in line.points if y is not None and y > 0]
    log = axes.log and bool(over) and max(over) > LOG_FROM * min(over)
    scale = _log10 if log else _as_it_is
    curves = [[(step, scale(y)) for step, y in thin(line.points)] for line in lines]
    heights = [y for curve in curves for _, y in curve if y is not None]
    bottom, top = _range(heights, None if axes.floor is None else scale(axes.floor))
    width, height = size
    chart = _Chart(
        right=_spread(axes.right, (top - bottom) / height * NEAR),
        width=width,
        height=height,
        style=_STYLE,
        css=(),
        js=(),
        margin=4,
        margin_right=4 if axes.right else 14,
        spacing=6,
        show_legend=False,
        show_dots=False,
        show_x_guides=False,
        show_y_guides=True,
        allow_interruptions=True,
        explicit_size=False,
        disable_xml_declaration=True,
        range=(bottom, top),
        xrange=axes.steps,
        zero=bottom,
        x_labels=_step_ticks(axes.steps, 3 if width < 500 else 6),
        y_labels=_decades(bottom, top) if log else _ticks(bottom, top),
    )
    looks = [*(["window"] if axes.window else []), *(line.look for line in lines)]
    chart.add_xml_filter(_cleaner(looks, title, description, key, size))
    if axes.window:
        opens, closes = (min(max(step, axes.steps[0]), axes.steps[1]) for step in axes.window)
        chart.add("window", [(opens, top), (closes, top), (closes, bottom)], fill=True)
    for line, curve in zip(lines, curves, strict=True):
        chart.add(line.name, curve)
    svg: str = chart.render(is_unicode=True)
    return _PLACE.sub(lambda place: _NUMBER.sub(_tenth, place[0]), svg)


class _Chart(pygal.XY):  # type: ignore[misc]  # pygal ships no types
    """With labels on the right that are a reading of the left axis, not of other curves."""

    def __init__(self, *, right: Sequence[tuple[str, float]], **config: Any) -> None:
        super().__init__(**config)
        self._right = right

    def _compute_secondary(self) -> None:
        self._y_2nd_labels = list(self._right) or None


def _tenth(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")


def _as_it_is(y: float | None) -> float | None:
    return y


def _log10(y: float | None) -> float | None:
    return log10(y) if y is not None and y > 0 else None  # zero has no place on it


def _range(heights: Sequence[float], least: float | None) -> tuple[float, float]:
    bottom, top = (min(heights), max(heights)) if heights else (0.0, 1.0)
    if least is not None:
        bottom = min(bottom, least)
    margin = 0.05 * (top - bottom) or 0.1 * abs(top) or 0.5
    return (bottom if least == bottom else bottom - margin), top + margin


def _ticks(bottom: float, top: float) -> list[dict[str, Any]]:
    rough = (top - bottom) / TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.99)
    digits = max(0, -floor(log10(step) + 1e-9))
    first, last = ceil(bottom / step - 1e-9), floor(top / step + 1e-9)

    def label(value: float) -> str:
        return f"{value:,.{digits}f}" if (digits < 4 and abs(value) < 1e5) or not value else f"{value:.3g}"

    return [{"label": label(n * step), "value": n * step} for n in range(first, last + 1)]


def _decades(bottom: float, top: float) -> list[dict[str, Any]]:
    """Of a scale in powers of ten. Where fewer than two powers lie in between, 1, 2 and 5 of each."""
    lowest, highest = floor(bottom), ceil(top)
    every = max(1, ceil((top - bottom) / 5))
    powers = [p for p in range(lowest, highest + 1) if p % every == 0 and bottom <= p <= top]
    if len(powers) >= 2:
        return [{"label": f"1e{p}", "value": p} for p in powers]
    fine = [(m, p, p + log10(m)) for p in range(lowest, highest + 1) for m in (1, 2, 5)]
    labels = [{"label": f"{m}e{p}", "value": y} for m, p, y in fine if bottom <= y <= top]
    return labels or [{"label": f"{10**bottom:.1e}", "value": bottom}]


def _step_ticks(steps: tuple[int, int], count: int) -> list[dict[str, Any]]:
    first, last = steps
    rough = max(1.0, (last - first) / count)
    power = 10 ** floor(log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.99)
    values = [first, *(n for n in range(step, last + 1, step) if n - first > step / 2)]
    return [{"label": f"{n:,}", "value": n} for n in values]


def _spread(labels: Sequence[tuple[str, float]], least: float) -> list[tuple[str, float]]:
    """Those that keep their distance; the earlier are the more important."""
    kept: list[tuple[str, float]] = []
    for label, height in labels:
        if all(abs(height - other) >= least for _, other in kept):
            kept.append((label, height))
    return kept


def _cleaner(
    looks: Sequence[str], title: str, description: str, key: str, size: tuple[int, int]
) -> Callable[[Any], Any]:
    """A filter over pygal's tree: only what is drawn stays, under our classes, with a name and a description."""

    def clean(root: Any) -> Any:
        for parent in list(root.iter()):
            for child in list(parent):
                # Comments have a function for a tag. Guides' titles would be read out, one a tick.
                if not isinstance(child.tag, str) or child.tag in ("defs", "title", "desc"):
                    parent.remove(child)
        for parent in list(root.iter()):
            for child in list(parent):
                names = child.get("class", "")
                if (child.tag == "g" and ("overlay" in names or names == "titles")) or names == "background":
                    parent.remove(child)
        for group in root.iter("g"):
            for name in group.get("class", "").split():
                if name.startswith("serie-") and "series" in group.get("class"):
                    group.set("class", f"curve {looks[int(name.removeprefix('serie-'))]}")
                    break
        root.attrib.clear()
        root.set("viewBox", f"0 0 {size[0]} {size[1]}")
        for place, (tag, text) in enumerate((("title", title), ("desc", description))):
            node = root.makeelement(tag, {"id": f"{key}-{tag}"})
            node.text = text
            root.insert(place, node)
        root.set("role", "img")
        root.set("aria-labelledby", f"{key}-title {key}-desc")
        root.set("xmlns", "http://www.w3.org/2000/svg")
        return root

    return clean
