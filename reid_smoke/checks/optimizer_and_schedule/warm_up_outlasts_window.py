from itertools import pairwise
from math import ceil, isfinite
from statistics import fmean

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.optimizer_and_schedule.head_lr_too_small import HARDLY_MOVED
from reid_smoke.checks.reading import NARROW, typical
from reid_smoke.facts import ParameterFacts, RunFacts, ScheduleFacts, StepFacts
from reid_smoke.rule import Curve

RISEN = 1.2  # times the first learning rate: less is no warm-up
ARRIVED = 0.9  # of the learning rate that was set
HALF_WAY = 0.6  # mean over the steps, of the highest: a straight rise that is not over has a half and a little more
FORESEEABLE = 50  # times the window's end: a rise that takes longer never ends for whoever waits


@check(
    "RS417", slug="warm-up-outlasts-window", severity="fail", when="end", needs=[StepFacts, Curve],
    uses=[ParameterFacts, ScheduleFacts, RunFacts], explains=["RS202", "RS203", "RS401"],
)  # fmt: skip
def warm_up_outlasts_window(
    steps: list[StepFacts],
    curve: Curve,
    parameters: list[ParameterFacts],
    schedules: list[ScheduleFacts],
    runs: list[RunFacts],
) -> Finding | None:
    """The window lies within the warm-up: the learning rate is still rising.

    What it means:
        The head's learning rate rises, and at the window's end it is not yet where its schedule leads, so that most of
        the steps that CE is judged by were taken with a small part of it. That says nothing against the training; it
        says that the window came too early. Under SGD a factor before the loss is as good as one before the learning
        rate: where it rises from step to step, that product is what is looked at.

    Why it stops learning:
        It does not, as far as can be seen. A classifier that starts from nothing stays near chance until the learning
        rate is there. What stays at chance after the warm-up has another cause, and a later window names it.

    Mend:
        A window that begins where the warm-up has ended, as in `reid-smoke watch --window 400:500 train.py`. Or, for
        the smoke test alone, a shorter warm-up, or one that begins at a larger share of the learning rate.

            scheduler = WarmupMultiStepLR(optimizer, milestones, warmup_iters=2, warmup_factor=0.1)

    Seen in:
        reid-strong-baseline, TransReID and fast-reid: a linear warm-up over ten epochs that begins at a hundredth;
        layumi's baseline, whose warm-up multiplies the loss.
    """
    if curve.word not in ("flat", "slow"):
        return None
    end = curve.rule.window[1]
    judged = [s for s in steps if s.applied and s.lr_head is not None and s.step <= end]
    by_the_loss = _loss_warms_up(judged, parameters)
    if by_the_loss:
        judged = [s.model_copy(update={"lr_head": s.ce_weight * (s.lr_head or 0.0)}) for s in judged]
    rates = [s.lr_head or 0.0 for s in judged]
    rises = _rises(judged)
    if not rises or any(after < before * (1 - 1e-6) for before, after in pairwise(rates)):
        return None
    last = rates[-1]
    goal = _goal(parameters, schedules)
    if goal is not None and ARRIVED * goal < last <= goal * (1 + 1e-6):
        return None
    known = goal if goal is not None and goal > last else None  # some rise beyond it: that many times the batch's size
    if last < RISEN * rates[0] or fmean(rates) > HALF_WAY * (known or last) or not _goes_on(rises, end):
        return None
    what = "head lr times the factor before CE" if by_the_loss else "head lr"
    now = f"{what} {rates[0]:.3g} at step {judged[0].step}, {last:.3g} at step {judged[-1].step} and still rising"
    if known is None:
        return Finding(
            f"{now}, {fmean(rates) / last:.0%} of that in the mean; how far it is to rise is not known; {_ce(curve)}",
            step=end,
        )
    there = _there(rises, known)
    if there > FORESEEABLE * end or not _would_do(judged, known, end):
        return None
    return Finding(
        f"{now}: {last / known:.0%} of the {known:.3g} that its schedule leads to, {fmean(rates) / known:.0%} in the "
        f"mean until there; at this pace it gets there at step {there}; {_ce(curve)}",
        step=end,
        mend=_later(curve, there, runs),
    )


def _loss_warms_up(judged: list[StepFacts], parameters: list[ParameterFacts]) -> bool:
    """The factor before CE rises towards 1, and the optimizer does not divide it out again."""
    names = parameters[-1].optimizer.split(", ") if parameters else []
    factors = [s.ce_weight for s in judged]
    if not names or any(name != "SGD" for name in names) or not all(isfinite(w) and 0 < w <= 1 for w in factors):
        return False
    return len(set(factors)) > 1 and all(before <= after for before, after in pairwise(factors))


def _goal(parameters: list[ParameterFacts], schedules: list[ScheduleFacts]) -> float | None:
    """The head's learning rate that was set, which a schedule of torch's or any other keeps in its group."""
    if schedules:
        return schedules[-1].lr_set
    return next((p.lr_initial for p in parameters[-1].parameters if p.role == "head"), None) if parameters else None


def _rises(steps: list[StepFacts]) -> list[tuple[int, float]]:
    """(step, lr) at the first step, and at each from which on it is another."""
    found: list[tuple[int, float]] = []
    for step in steps:
        rate = step.lr_head or 0.0
        if not found or rate != found[-1][1]:
            found.append((step.step, rate))
    return found


def _goes_on(rises: list[tuple[int, float]], end: int) -> bool:
    """The last rise is not so long ago that there should have been another."""
    if len(rises) < 2:
        return False
    longest = max(after - before for (before, _), (after, _) in pairwise(rises))
    return end - rises[-1][0] <= 2 * longest


def _there(rises: list[tuple[int, float]], goal: float) -> int:
    """The step at which the learning rate arrives, if it goes on to rise as it did."""
    (begun, first), (at, last) = rises[0], rises[-1]
    return at + ceil((goal - last) / (last - first) * (at - begun) - 1e-6)


def _would_do(steps: list[StepFacts], goal: float, count: int) -> bool:
    """Whether a head would come anywhere in as many steps at that learning rate, by how far they took it at theirs.

    The logits spread at least by what its weights grow; that they learn to point somewhere comes on top.
    """
    start, recent = steps[:5], steps[-20:]
    spread, norm = typical(start, "logit_std"), typical(start, "head_norm")
    paces = [s.head_update * s.head_norm / s.lr_head for s in recent if s.lr_head]
    if not paces or not spread or not norm:
        return True
    moved = fmean(paces) * goal * count / norm  # in lengths of the weights at the start
    return moved >= HARDLY_MOVED and spread * (1 + moved) >= NARROW


def _later(curve: Curve, there: int, runs: list[RunFacts]) -> str:
    """The window to judge by instead: after the warm-up, and with as much learning behind it as was asked for, of which
    a rise has half."""
    first, last = curve.rule.window
    begin = 10 * ceil(max(there, first + there / 2) / 10)
    window = (begin, begin + last - first)
    asked = (
        f"reid-smoke watch --window {window[0]}:{window[1]} ..."
        if not runs or runs[0].way_in == "watch"
        else f"--set rule.window=[{window[0]},{window[1]}]"
    )
    return (
        "Judge it after the warm-up; nothing was seen so far that speaks against the training:\n\n"
        f"    {asked}\n\n"
        "Or, for the smoke test alone, a shorter warm-up, or one that begins at a larger share of the learning rate."
    )


def _ce(curve: Curve) -> str:
    return f"CE {curve.ce.window_mean or 0.0:.2f} over steps {curve.rule.window[0]} to {curve.rule.window[1]}"
