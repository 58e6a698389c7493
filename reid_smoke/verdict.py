"""CE curve + findings -> GO, NO-GO or UNKNOWN, with the one sentence that says why; no torch.

The rule: chance is log C. GO when the mean CE over the window (steps 200 to 300) is at or under log C - 0.39 and CE has
clearly fallen. At that bar exp(CE) is two thirds of C: the model has ruled out a third of the identities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, isfinite, log
from statistics import fmean
from typing import Literal

from reid_smoke.checks.catalogue import CheckResult, rank, run_checks
from reid_smoke.facts import CrashFacts, DatasetFacts, EndFacts, GraphFacts, RunFacts, StepFacts, UnreadableFacts
from reid_smoke.ledger import Ledger
from reid_smoke.trend import falling_p, slope, standard_error

VerdictWord = Literal["GO", "NO-GO", "UNKNOWN"]

BELOW_CHANCE = 0.39  # nats: exp(-0.39) = 0.68, a third of the identities ruled out
ENOUGH_LOOKS = 4.0  # looks per identity that a step count must be worth before "too slow" means anything
SURE = 0.01  # p under which a curve counts as falling
MOST_UNREADABLE = 0.01  # share of images that may be unreadable before nothing can be said of the data

EXIT_CODES: dict[VerdictWord, int] = {"GO": 0, "NO-GO": 1, "UNKNOWN": 3}


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
    first: float | None  # mean of the first steps, nats
    window_mean: float | None
    last: float | None
    trend_per_100_steps: float | None
    curve: tuple[tuple[int, float], ...]  # (step, CE)


@dataclass(frozen=True)
class Verdict:
    word: VerdictWord
    reason: str  # one sentence
    certain: bool  # more steps would not change it
    rule: RuleFigures
    ce: CeFigures


@dataclass(frozen=True)
class Judgement:
    """A verdict and what every check had to say."""

    verdict: Verdict
    results: list[CheckResult]

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict.word]


def judge(ledger: Ledger, *, ended: bool) -> Judgement:
    """Judge what has been seen so far.

    ended: no more facts will come. Before that, a verdict that is not certain may still change.
    """
    figures = _rule(ledger)
    ce = _ce(ledger.steps, figures)
    closed = bool(ledger.steps) and ledger.steps[-1].step >= figures.window[1]
    results = run_checks(ledger, at_end=ended or closed)
    return Judgement(_verdict(ledger, figures, ce, results, closed=closed, ended=ended), results)


def _rule(ledger: Ledger) -> RuleFigures:
    run, dataset, graph = ledger.first(RunFacts), ledger.first(DatasetFacts), ledger.last(GraphFacts)
    window = run.window if run else (200, 300)
    num_classes = graph.num_classes if graph else dataset.num_classes if dataset else None
    if run and run.way_in == "overfit" and dataset:
        # 256 samples hold some 190 of the 400 identities: guessing among those is chance here, not among all.
        num_classes = dataset.identities
    if not num_classes or num_classes < 2:
        return RuleFigures(num_classes, None, None, window, None)
    chance = log(num_classes)
    bar = run.max_ce if run and run.max_ce is not None else chance - BELOW_CHANCE
    seen = 0
    moved_from = None
    steps = ledger.steps
    if steps:
        per_step = fmean(s.batch for s in steps) / num_classes
        width = window[1] - window[0]
        if steps[-1].step >= window[1] and window[1] * per_step < ENOUGH_LOOKS:
            enough = ceil(ENOUGH_LOOKS / per_step)
            if _falls(steps, window) and _window_mean(steps, window) > bar:
                moved_from, window = window, (enough - width, enough)
        seen = min(steps[-1].step, window[1])
        looks = seen * per_step
    return RuleFigures(num_classes, chance, bar, window, looks if seen else None, moved_from)


def _falls(steps: Sequence[StepFacts], window: tuple[int, int]) -> bool:
    """CE has clearly fallen by the window: by the trend over all blocks, and by more than the noise of its means."""
    values = [s.ce for s in steps if s.step <= window[1]]
    if not values or not all(map(isfinite, values)):
        return False
    inside = [s.ce for s in steps if window[0] <= s.step <= window[1]] or values[-10:]
    start = values[: max(5, min(20, len(values) // 10))]
    dropped = fmean(start) - fmean(inside)
    # A curve that fell at once and then lies low has no trend left inside the window: the drop itself is the proof.
    return dropped > 0.05 and dropped > 3 * standard_error(inside) and (falling_p(values) < SURE or dropped > 0.5)


def _window_mean(steps: Sequence[StepFacts], window: tuple[int, int]) -> float:
    inside = [s.ce for s in steps if window[0] <= s.step <= window[1]]
    return fmean(inside) if inside else float("nan")


def _ce(steps: Sequence[StepFacts], rule: RuleFigures) -> CeFigures:
    if not steps:
        return CeFigures(None, None, None, None, ())
    values = [s.ce for s in steps]
    recent = [s.ce for s in steps if rule.window[0] - 100 <= s.step <= rule.window[1]] or values
    per_step = slope(recent)
    window_mean = _window_mean(steps, rule.window)
    return CeFigures(
        first=fmean(values[:5]),
        window_mean=None if window_mean != window_mean and not _has(steps, rule.window) else window_mean,
        last=values[-1],
        trend_per_100_steps=None if per_step is None else 100 * per_step,
        curve=tuple((s.step, s.ce) for s in steps),
    )


def _has(steps: Sequence[StepFacts], window: tuple[int, int]) -> bool:
    return any(window[0] <= s.step <= window[1] for s in steps)


def _verdict(
    ledger: Ledger, rule: RuleFigures, ce: CeFigures, results: list[CheckResult], *, closed: bool, ended: bool
) -> Verdict:
    def say(word: VerdictWord, reason: str, certain: bool) -> Verdict:
        return Verdict(word, reason, certain or ended, rule, ce)

    faults = [r for r in rank(results) if r.severity != "warn"]
    fatal = [r for r in faults if r.severity == "fatal"]
    if fatal:
        return say("NO-GO", _because(faults[0], rule, ce), certain=True)

    unreadable = _unreadable_share(ledger)
    if unreadable > MOST_UNREADABLE:
        reason = f"{unreadable:.1%} of the images could not be read: mend the data first, then judge the training."
        return say("UNKNOWN", reason, certain=closed)

    if not closed:
        return say("UNKNOWN", _why_not_closed(ledger, rule), certain=False)
    if faults:
        return say("NO-GO", _because(faults[0], rule, ce), certain=True)
    broken = [r for r in results if r.status == "error" and r.check.severity != "warn"]
    word, reason = _by_curve(ledger, rule, ce)
    if word == "GO" and broken:
        names = ", ".join(r.check.code for r in broken)
        return say("UNKNOWN", f"CE passes, but {names} crashed and a fault may hide behind it.", certain=True)
    return say(word, reason, certain=True)


def _by_curve(ledger: Ledger, rule: RuleFigures, ce: CeFigures) -> tuple[VerdictWord, str]:
    """What CE alone says, once the window has closed."""
    if rule.chance_ce is None or rule.max_ce is None or rule.num_classes is None or ce.window_mean is None:
        return "UNKNOWN", "No classification over at least two identities was seen, so there is no chance to compare with."
    mean, place = ce.window_mean, f"over steps {rule.window[0]} to {rule.window[1]}"
    if not isfinite(mean):
        return "NO-GO", f"CE is not a finite number {place}."
    falls = _falls(ledger.steps, rule.window)
    if mean <= rule.max_ce and falls:
        in_play = max(1, round(exp(mean)))
        return "GO", (
            f"CE is {mean:.2f} {place}, at or under the bar of {rule.max_ce:.2f}, and falling: "
            f"{in_play} of {rule.num_classes} identities are still in play."
        )
    if mean <= rule.max_ce:
        return "NO-GO", f"CE is {mean:.2f} {place}, under the bar of {rule.max_ce:.2f}, but it did not fall to get there."
    if falls:
        return "NO-GO", f"CE falls, but too slowly: {mean:.2f} {place}, over the bar of {rule.max_ce:.2f}.{_crossing(rule, ce)}"
    chance = f"chance is log {rule.num_classes} = {rule.chance_ce:.2f}"
    return "NO-GO", f"CE is {mean:.2f} {place} and does not fall; {chance}."


def crossing_step(rule: RuleFigures, ce: CeFigures) -> int | None:
    """The step at which CE would reach the bar at its present pace, counted from the window's middle; None: never."""
    if rule.max_ce is None or ce.window_mean is None or not ce.trend_per_100_steps or ce.trend_per_100_steps >= 0:
        return None
    middle = (rule.window[0] + rule.window[1]) / 2
    return round(middle + (ce.window_mean - rule.max_ce) / (-ce.trend_per_100_steps / 100))


def _crossing(rule: RuleFigures, ce: CeFigures) -> str:
    step = crossing_step(rule, ce)
    return f" At this pace it would cross at step {step}." if step is not None else ""


def _because(cause: CheckResult, rule: RuleFigures, ce: CeFigures) -> str:
    title = cause.check.title
    mean = ce.window_mean if ce.window_mean is not None else ce.last
    if mean is None or rule.chance_ce is None:
        return f"{title}."
    return f"{title}; CE is {mean:.2f}, chance is log {rule.num_classes} = {rule.chance_ce:.2f}."


def _unreadable_share(ledger: Ledger) -> float:
    dataset, steps = ledger.first(DatasetFacts), ledger.steps
    files = {fact.path for fact in ledger.all(UnreadableFacts)}
    bad = len(files) + (dataset.unreadable if dataset else 0)
    if not bad:
        return 0.0
    tried = min(sum(s.batch for s in steps), dataset.images) if dataset else sum(s.batch for s in steps)
    return bad / max(tried, bad, 1)


def _why_not_closed(ledger: Ledger, rule: RuleFigures) -> str:
    done = ledger.steps[-1].step if ledger.steps else 0
    crash, end = ledger.last(CrashFacts), ledger.last(EndFacts)
    wanted = f"{done} of the {rule.window[1]} steps that a verdict needs were seen"
    if crash is not None:
        return f"The training crashed with {crash.exception}: {wanted}."
    if end is not None and end.how == "interrupted":
        return f"Interrupted: {wanted}."
    if not done:
        return "No training step with a classification loss was seen."
    return f"{wanted[0].upper()}{wanted[1:]}."
