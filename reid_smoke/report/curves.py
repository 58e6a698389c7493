"""Which curves a page shows of a training, what each says in words, and which of them show the first cause."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log

from reid_smoke.facts import StepFacts
from reid_smoke.ledger import Ledger
from reid_smoke.report.chart import Axes, Line, draw
from reid_smoke.report.document import FindingEntry, Report
from reid_smoke.report.thin import Point

WIDE, NARROW, SMALL = (640, 300), (350, 230), (350, 190)  # pixels
MOST_TOLD = 2  # plots that are marked as the evidence's: the first of them that it speaks of
IN_PLAY = (1000, 500, 200, 100, 50, 20, 10, 5, 2, 1)  # identities, beside all of them and those at the bar


@dataclass(frozen=True)
class Plot:
    """A figure of the page."""

    key: str
    title: str
    says: str  # what it shows, in figures
    legend: tuple[tuple[str, str], ...]  # (look, name)
    pictures: tuple[str, ...]  # one SVG, or a wide one and a narrow one
    note: str = ""  # what the curves do not show, in words that everybody sees
    evidence: str = ""  # code of the finding whose evidence shows here


@dataclass(frozen=True)
class Figure:
    """What is measured at every step, in one plot."""

    key: str
    title: str
    lines: Callable[[StepFacts], tuple[float | None, ...]]
    names: tuple[str, ...]
    evidence: str  # a regular expression for the words by which a finding's evidence speaks of it
    log: bool = False
    floor: float | None = None


# The words are those in which the checks' evidence is written; a new check is found by them, too.
FIGURES = (
    Figure(
        "lr",
        "Learning rate as applied",
        lambda s: (s.lr_head, s.lr_backbone),
        ("head", "the rest"),
        r"\blr\b",
        log=True,
    ),
    Figure(
        "update",
        "Update of the head, |dw|/|w| a step",
        lambda s: (s.head_update,),
        ("|dw|/|w|",),
        r"\|dw\|/\|w\||updates? of|moved|stepped the head|never stepped",
        log=True,
    ),
    Figure("weight", "Weight of the head, |w|", lambda s: (s.head_norm,), ("|w|",), r"(?<!/)\|w\|"),
    Figure(
        "head-gradient",
        "Gradient of the head",
        lambda s: (s.head_grad, s.head_grad_applied),
        ("before clipping", "as applied"),
        r"head('s)? gradient|gradient(s)? (norm )?of the head|clip",
        log=True,
    ),
    Figure(
        "backbone-gradient",
        "Gradient of the backbone",
        lambda s: (s.backbone_grad, s.backbone_grad_applied),
        ("before clipping", "as applied"),
        r"backbone('s)? gradient|backbone",
        log=True,
    ),
    Figure(
        "feature",
        "Feat(BN), the norm that the head is given",
        lambda s: (s.feat_norm,),
        ("|f|",),
        r"[Ff]eat|norm of \d",
        floor=0.0,
    ),
    Figure(
        "spread", "Spread of the logits over the identities", lambda s: (s.logit_std,), ("std",), r"logits", floor=0.0
    ),
    Figure("top1", "Top-1 within the batch, mean of 20 steps", lambda s: (s.top1,), ("top-1",), r"top-1", floor=0.0),
    Figure("amp", "Scale of AMP", lambda s: (s.amp_scale,), ("scale",), r"scale[rd]?\b|AMP", log=True),
)


def plots(report: Report, ledger: Ledger) -> list[Plot]:
    """CE first, then what was measured; a figure without a number is left out."""
    cause = report.primary
    drawn = [plot for plot in (_ce(report), *(_small(f, report, ledger.steps) for f in FIGURES)) if plot]
    if cause is None:
        return drawn
    keys = {plot.key for plot in drawn}
    found = [
        (match.start(), f.key) for f in FIGURES if f.key in keys and (match := re.search(f.evidence, cause.evidence))
    ]
    told = [key for _, key in sorted(found)][:MOST_TOLD] or ["ce"]
    return [Plot(**(vars(p) | {"evidence": cause.code if p.key in told else ""})) for p in drawn]


def _ce(report: Report) -> Plot | None:
    points: list[Point] = list(report.ce.curve)
    if not any(ce is not None for _, ce in points):
        return None
    rule = report.rule
    last = max(points[-1][0], rule.window[1])
    axes = Axes((1, last), rule.window, right=tuple(_in_play(report)))
    lines, legend = [], [("one", "CE")]
    for look, name, height in (("chance", "chance", rule.chance_ce), ("bar", "bar", rule.max_ce)):
        if height is not None:
            lines.append(Line(name, [(1, height), (last, height)], look))
            legend.append((look, f"{name} {height:.2f}"))
    lines.append(Line("CE", points))
    lines += _mark(report.primary, [ce for _, ce in points] + [rule.chance_ce, rule.max_ce], last)
    legend.append(("window", f"window, steps {rule.window[0]} to {rule.window[1]}"))
    says = in_words("CE", points)
    if rule.chance_ce is not None and rule.max_ce is not None:
        says += f" Chance is {rule.chance_ce:.2f}, the bar {rule.max_ce:.2f}."
    title = "CE, and the identities still in play" if axes.right else "CE"
    pictures = tuple(
        draw(lines, axes, title=title, description=says, key=f"ce-{name}", size=size)
        for name, size in (("wide", WIDE), ("narrow", NARROW))
    )
    return Plot("ce", title, says, tuple(legend), pictures)


def _in_play(report: Report) -> Iterator[tuple[str, float]]:
    """Heights of the second axis, the most important first: all, at the bar, at the end, and round numbers."""
    rule, ce = report.rule, [ce for _, ce in report.ce.curve if ce is not None]
    if rule.num_classes is None or rule.chance_ce is None:
        return
    low, high = min([*ce, rule.max_ce or rule.chance_ce]), max([*ce, rule.chance_ce])
    counts = [rule.num_classes, *([round(exp(rule.max_ce))] if rule.max_ce else []), *IN_PLAY]
    for count in counts:
        if 1 <= count <= rule.num_classes and low <= log(count) <= high:
            yield f"{count:,}", log(count)


def _small(figure: Figure, report: Report, steps: Sequence[StepFacts]) -> Plot | None:
    lines: list[Line] = []
    said = []
    for place, name in enumerate(figure.names):
        points = points_of(figure, place, steps)
        if lines and points == lines[0].points:  # nothing was clipped, one lr for all: one curve says both
            lines[0] = Line(f"{lines[0].name} and {name}", points)
            continue
        if has_numbers(points):
            lines.append(Line(name, points, ("one", "two", "three")[place]))
            said.append(in_words(name, points))
    if not lines:
        return None
    note = _skips(steps) if figure.key == "amp" else ""
    heights = [y for line in lines for _, y in line.points]
    last = max(steps[-1].step, report.rule.window[1])
    marks = (
        _mark(report.primary, heights, last)
        if not figure.log
        else _mark(report.primary, [y for y in heights if y], last)
    )
    says = " ".join(said)
    picture = draw(
        [*lines, *marks],
        Axes((1, last), report.rule.window, log=figure.log, floor=figure.floor),
        title=figure.title,
        description=says,
        key=figure.key,
        size=SMALL,
    )
    legend = tuple((line.look, line.name) for line in lines) if len(figure.names) > 1 else ()
    return Plot(figure.key, figure.title, says, legend, (picture,), note)


def points_of(figure: Figure, place: int, steps: Sequence[StepFacts]) -> list[Point]:
    """One of the figure's curves. place: of its name among `figure.names`."""
    points: list[Point] = [(step.step, figure.lines(step)[place]) for step in steps]
    return _means(points) if figure.key == "top1" else points


def has_numbers(points: Sequence[Point]) -> bool:
    return any(y is not None and isfinite(y) for _, y in points)


def handover_plots(report: Report) -> list[Plot]:
    """CE against its limit, and SDM, while SDM's weight was raised; none where nothing was handed over."""
    found = report.handover
    if found is None or not found.curve:
        return []
    first, last = found.began_after + 1, found.curve[-1][0]
    changes = [stage.steps[0] for stage in found.stages[1:]]
    drawn = []
    for key, title, name, column in (
        ("handover-ce", "CE while SDM's weight rises", "CE", 1),
        ("handover-sdm", "SDM, without its weight", "SDM", 2),
    ):
        points: list[Point] = [(row[0], row[column]) for row in found.curve]
        heights = [y for _, y in points if y is not None]
        if not heights:
            continue
        lines, legend = [Line(name, points)], [("one", name)]
        if key == "handover-ce":
            lines.append(Line("limit", [(first, found.limit_ce), (last, found.limit_ce)], "bar"))
            legend.append(("bar", f"limit {found.limit_ce:.2f}"))
            heights.append(found.limit_ce)
        lines += [Line("change", [(step, min(heights)), (step, max(heights))], "mark") for step in changes]
        note = f"Upright: the weight changed, at step {', '.join(map(str, changes))}." if changes else ""
        says = in_words(name, points)
        picture = draw(lines, Axes((first, last)), title=title, description=says, key=key, size=SMALL)
        drawn.append(Plot(key, title, says, tuple(legend), (picture,), note))
    return drawn


def _skips(steps: Sequence[StepFacts]) -> str:
    skipped = [step.step for step in steps if "k" in step.events]
    if not skipped:
        return "No step was skipped."
    shown = ", ".join(map(str, skipped[:8])) + (" and more" if len(skipped) > 8 else "")
    return f"{len(skipped)} of {len(steps)} steps skipped: {shown}."


def _mark(cause: FindingEntry | None, heights: Sequence[float | None], last: int) -> list[Line]:
    """An upright line at the step where the first cause became certain, where that is not at an end."""
    finite = [y for y in heights if y is not None and isfinite(y)]
    if cause is None or not finite or not 1 < cause.step < last:
        return []
    return [Line(cause.code, [(cause.step, min(finite)), (cause.step, max(finite))], "mark")]


def _means(points: Sequence[Point], over: int = 20) -> list[Point]:
    """Each with up to 19 before it: a batch of 8 moves in eighths."""
    means: list[Point] = []
    recent: list[float] = []
    for step, y in points:
        if y is not None and isfinite(y):
            recent = [*recent[1 - over :], y]
        means.append((step, sum(recent) / len(recent) if recent else None))
    return means


def in_words(name: str, points: Sequence[Point]) -> str:
    finite = [(step, y) for step, y in points if y is not None and isfinite(y)]
    if not finite:
        return f"{name}: no number at any step."
    (first, start), (last, end) = finite[0], finite[-1]
    low, high = min(y for _, y in finite), max(y for _, y in finite)
    said = f"{name} {_short(start)} at step {first}, {_short(end)} at step {last}"
    if (low, high) != (min(start, end), max(start, end)):
        said += f"; between {_short(low)} and {_short(high)}"
    lost = len(points) - len(finite)
    return f"{said}{f'; no number at {lost} steps' if lost else ''}."


def _short(value: float) -> str:
    return f"{value:.3g}"
