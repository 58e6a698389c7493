"""The rule that a CE curve is judged by, and what the curve says; no torch.

Chance is log C. The bar is log C - 0.39: there exp(CE) is two thirds of C, so the model has ruled out a third of the
identities. CE is averaged over a window of steps, 200 to 300. What a step count is worth depends on how often each
identity was looked at: with fewer than 4 looks a curve that falls is given more steps before it is called too slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, hypot, isfinite, log, sqrt
from statistics import fmean
from typing import Literal

from reid_smoke.facts import DatasetFacts, GraphFacts, RunFacts, StepFacts
from reid_smoke.trend import falling_p, noise, slope, standard_error

BELOW_CHANCE = 0.39  # nats: exp(-0.39) = 0.68
ENOUGH_LOOKS = 4.0  # per identity
SURE = 0.01  # p under which a curve counts as falling
AT_REST = 0.05  # p of the window's own trend from which on it does not fall any more
DEFAULT_WINDOW = (200, 300)
LEAST_STEPS = 10  # fewer hold no trend that could be told from noise

CurveWord = Literal["passes", "slow", "flat", "rises", "broken", "short"]


@dataclass(frozen=True)
class RuleFigures:
    num_classes: int | None
    chance_ce: float | None  # nats
    max_ce: float | None  # nats
    window: tuple[int, int]  # steps, both included
    looks: float | None  # per identity at the window's end, or at the last step where that comes first
    moved_from: tuple[int, int] | None = None  # the window was moved, since its looks would have been too few


@dataclass(frozen=True)
class CeFigures:
    first: float | None  # mean of the first five steps, nats
    window_mean: float | None
    last: float | None
    trend_per_100_steps: float | None
    curve: tuple[tuple[int, float], ...]  # (step, CE)


@dataclass(frozen=True)
class Curve:
    """What CE did.

    passes: at or under the bar and clearly fallen, or under it from the first step on; slow: fallen, but over the bar;
    flat: not fallen, or only from a rough start down to chance; rises: clearly above where it began; broken: not
    finite; short: the window has not closed.
    """

    word: CurveWord
    rule: RuleFigures
    ce: CeFigures


def read_curve(
    run: RunFacts | None, dataset: DatasetFacts | None, graph: GraphFacts | None, steps: Sequence[StepFacts]
) -> Curve:
    """The curve of a training so far. Without RunFacts the usual window counts."""
    rule = _rule(run, dataset, graph, steps)
    ce = _figures(steps, rule)
    return Curve(_word(steps, rule, ce), rule, ce)


def crossing_step(curve: Curve) -> int | None:
    """The step at which CE would reach the bar at its present pace, counted from the window's middle; None: never."""
    rule, ce = curve.rule, curve.ce
    if rule.max_ce is None or ce.window_mean is None or not ce.trend_per_100_steps or ce.trend_per_100_steps >= 0:
        return None
    middle = (rule.window[0] + rule.window[1]) / 2
    return round(middle + (ce.window_mean - rule.max_ce) / (-ce.trend_per_100_steps / 100))


def _rule(
    run: RunFacts | None, dataset: DatasetFacts | None, graph: GraphFacts | None, steps: Sequence[StepFacts]
) -> RuleFigures:
    window = run.window if run else DEFAULT_WINDOW
    num_classes = graph.num_classes if graph else dataset.num_classes if dataset else None
    if run and run.way_in == "overfit" and dataset:
        # 256 samples hold some 190 of the 400 identities: guessing among those is chance here, not among all.
        num_classes = dataset.identities
    if not num_classes or num_classes < 2:
        return RuleFigures(num_classes, None, None, window, None)
    chance = log(num_classes)
    bar = run.max_ce if run and run.max_ce is not None else chance - BELOW_CHANCE
    if not steps:
        return RuleFigures(num_classes, chance, bar, window, None)
    looks_per_step = fmean(s.batch for s in steps) * (run.ranks if run else 1) / num_classes
    moved_from = None
    if steps[-1].step >= window[1] and 0 < window[1] * looks_per_step < ENOUGH_LOOKS and _falls(steps, window, chance):
        mean = _mean_over(steps, window)
        if mean is not None and mean > bar:
            enough = ceil(ENOUGH_LOOKS / looks_per_step)
            moved_from, window = window, (enough - (window[1] - window[0]), enough)
    looks = min(steps[-1].step, window[1]) * looks_per_step
    return RuleFigures(num_classes, chance, bar, window, looks, moved_from)


def _figures(steps: Sequence[StepFacts], rule: RuleFigures) -> CeFigures:
    if not steps:
        return CeFigures(None, None, None, None, ())
    values = [s.ce for s in steps]
    recent = [s.ce for s in steps if rule.window[0] - 100 <= s.step <= rule.window[1]] or values
    per_step = slope(recent)
    return CeFigures(
        first=fmean(values[:5]),
        window_mean=_mean_over(steps, rule.window),
        last=values[-1],
        trend_per_100_steps=None if per_step is None else 100 * per_step,
        curve=tuple((s.step, s.ce) for s in steps),
    )


def _word(steps: Sequence[StepFacts], rule: RuleFigures, ce: CeFigures) -> CurveWord:
    if not steps or steps[-1].step < rule.window[1] or ce.window_mean is None or rule.max_ce is None:
        return "short"
    if sum(s.step <= rule.window[1] for s in steps) < LEAST_STEPS:
        return "short"
    if not isfinite(ce.window_mean):
        return "broken"
    falls = _falls(steps, rule.window, rule.chance_ce)
    if falls and ce.window_mean <= rule.max_ce:
        return "passes"
    if falls:
        return "flat" if _rests_above_chance(steps, rule) else "slow"
    first = fmean(s.ce for s in steps[:5])
    if _always_under(steps, rule.window, rule.max_ce):
        return "passes"  # resumed from a checkpoint, its head too: what was learnt earlier does not have to fall again
    return "rises" if ce.window_mean > max(first, rule.chance_ce or first) + 0.3 else "flat"


def _falls(steps: Sequence[StepFacts], window: tuple[int, int], chance: float | None) -> bool:
    """CE has clearly fallen by the window: by its trend, and by more than the noise of the window's mean."""
    values = [s.ce for s in steps if s.step <= window[1]]
    inside = [s.ce for s in steps if window[0] <= s.step <= window[1]]
    if len(values) < LEAST_STEPS or not inside or not all(map(isfinite, values)):
        return False
    start = values[: max(5, len(values) // 20)]
    dropped = fmean(start) - fmean(inside)
    of_one = noise(values)
    of_inside = standard_error(inside) if len(inside) > 1 else of_one
    if dropped <= 0.02 or dropped <= 3 * of_inside:
        return False
    # A curve that dropped at once and then lies low has no trend left: half a nat of drop is proof enough, unless
    # batches differ so much that the means of two stretches may lie so far apart by chance.
    of_drop = hypot(of_one / sqrt(len(start)), max(of_inside, of_one / sqrt(len(inside))))
    if falling_p(values) < SURE or dropped > max(0.5, 4 * of_drop):
        return True
    # Where batches differ much, the first few say little of where it began. But nobody guesses his way under chance.
    under_chance = chance is not None and chance - fmean(inside) > max(0.2, 4 * of_inside)
    return under_chance and dropped > 0.2


def _rests_above_chance(steps: Sequence[StepFacts], rule: RuleFigures) -> bool:
    """A head that begins with wrong certainty falls to chance without telling anybody apart, and there it stays."""
    inside = [s.ce for s in steps if rule.window[0] <= s.step <= rule.window[1]]
    above = rule.chance_ce is not None and fmean(inside) > rule.chance_ce
    return above and len(inside) >= LEAST_STEPS and falling_p(inside) >= AT_REST


def _always_under(steps: Sequence[StepFacts], window: tuple[int, int], bar: float) -> bool:
    """CE lies under the bar from its first twenty steps on, and by more than the noise of their mean."""
    values = [s.ce for s in steps if s.step <= window[1]]
    start = values[:20]
    return fmean(start) + 4 * noise(values) / sqrt(len(start)) <= bar and fmean(values) <= bar


def _mean_over(steps: Sequence[StepFacts], window: tuple[int, int]) -> float | None:
    inside = [s.ce for s in steps if window[0] <= s.step <= window[1]]
    return fmean(inside) if inside else None
