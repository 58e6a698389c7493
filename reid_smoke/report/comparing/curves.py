"""The plots of a comparison's page: each figure with a curve for each run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isclose

from reid_smoke.report.chart import Axes, Line, draw
from reid_smoke.report.comparing.document import Comparison, curve_of
from reid_smoke.report.comparing.words import curves_heading
from reid_smoke.report.curves import FIGURES, NARROW, SMALL, WIDE, Figure, Plot, has_numbers, in_words, points_of
from reid_smoke.report.past import PastRun
from reid_smoke.report.thin import Point


def look(letter: str) -> str:
    """The class by which the page's style sheet draws a run."""
    return f"run-{letter.lower()}"


def ce_plot(comparison: Comparison) -> Plot | None:
    """None where no run has a CE that is a number."""
    below, runs = comparison.below_chance, comparison.runs
    curves = [(run, points) for run in runs if has_numbers(points := curve_of(run, below))]
    if not curves:
        return None
    windows = {run.rule.window for run in runs}
    window = windows.pop() if len(windows) == 1 else None
    last = max([points[-1][0] for _, points in curves] + ([window[1]] if window else []))
    lines, legend = [], []
    for mark in comparison.marks:
        kind = "chance" if mark.name == "chance" else "bar"
        lines.append(Line(mark.name, [(1, mark.height), (last, mark.height)], kind))
        legend.append((kind, f"{mark.name} {mark.height:.2f}"))
    for run, points in curves:
        lines.append(Line(run.letter, points, look(run.letter)))
        legend.append((look(run.letter), f"{run.letter}, {run.folder}"))
    if window:
        legend.append(("window", f"window, steps {window[0]} to {window[1]}"))
    says = " ".join(in_words(f"{run.letter}: CE", points) for run, points in curves)
    pictures = tuple(
        draw(lines, Axes((1, last), window), title=curves_heading(comparison), description=says, key=key, size=size)
        for key, size in (("ce-wide", WIDE), ("ce-narrow", NARROW))
    )
    return Plot("ce", curves_heading(comparison), says, tuple(legend), pictures)


def measured(comparison: Comparison, runs: Sequence[PastRun]) -> tuple[list[Plot], list[str]]:
    """The plots of what was measured, and the titles of those in which all runs are the same."""
    drawn, same = [], []
    for figure in FIGURES:
        before: list[list[Point]] | None = None
        for place, name in enumerate(figure.names):
            curves = [points_of(figure, place, run.ledger.steps) for run in runs]
            if curves == before or sum(map(has_numbers, curves)) < 2:
                continue  # nothing was clipped, one lr for all; or nothing to be held against each other
            before = curves
            title = figure.title if len(figure.names) == 1 else f"{figure.title}: {name}"
            if all(_alike(curve, curves[0]) for curve in curves):
                same.append(title)
            else:
                drawn.append(_plot(figure, f"{figure.key}-{place}", title, comparison, curves))
    return drawn, same


def _plot(figure: Figure, key: str, title: str, comparison: Comparison, curves: Sequence[list[Point]]) -> Plot:
    shown = list(_shown(comparison, curves))
    last = max(points[-1][0] for _, points in shown)
    says = " ".join(in_words(letter, points) for letter, points in shown)
    picture = draw(
        [Line(letter, points, look(letter)) for letter, points in shown],
        Axes((1, max(last, 2)), log=figure.log, floor=figure.floor),
        title=title,
        description=says,
        key=key,
        size=SMALL,
    )
    return Plot(key, title, says, tuple((look(letter), letter) for letter, _ in shown), (picture,))


def _shown(comparison: Comparison, curves: Sequence[list[Point]]) -> Iterator[tuple[str, list[Point]]]:
    for run, points in zip(comparison.runs, curves, strict=True):
        if has_numbers(points):
            yield run.letter, points


def _alike(one: Sequence[Point], other: Sequence[Point]) -> bool:
    """No eye would tell them apart."""
    return len(one) == len(other) and all(
        a[0] == b[0] and (a[1] == b[1] or (a[1] is not None and b[1] is not None and isclose(a[1], b[1], rel_tol=1e-3)))
        for a, b in zip(one, other, strict=True)
    )
