"""What a hand-over's facts say: which weights of SDM were safe, and which was held; no torch.

CE back above the bar + 0.1 holds the weight: SDM then goes on at the largest one that was safe. CE is averaged over the
last 20 steps at the weight, for one batch says little; so no weight is held before its 20th step, or its last one where
it has fewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isfinite, nan
from statistics import fmean
from typing import Literal

from reid_smoke.facts import HandoverFacts, HandoverPlanFacts

ABOVE_THE_BAR = 0.1  # nats
STRETCH = 10  # steps that one fact tells of
RECENT = 20  # steps that CE is averaged over
LEAST = 30  # steps at each weight

StageWord = Literal["safe", "held", "back", "open"]


@dataclass(frozen=True)
class Stage:
    """The steps at one weight.

    safe: all of them were made, and CE stayed. held: CE was over the limit. back: after one that was held, at the
    largest that was safe. open: the training ended meanwhile.
    """

    weight: float
    word: StageWord
    first_step: int
    last_step: int
    ce: float  # nats, mean over the last RECENT steps
    sdm: float  # so is this, without the weight
    cosine: float  # between the gradients of SDM and CE, mean of the times it was measured; NaN: never
    norm_ratio: float  # |gradient of SDM| / |gradient of CE|, the same
    measured: int  # times
    without_positive: float | None  # share of SDM's rows; None: not known
    one_positive: float | None


def plan_ends(begun: int, left: int, weights: int, steps: int | None) -> tuple[int, ...]:
    """The last step at each of so many weights, after step `begun` with `left` steps left of the epoch.

    steps: at each weight; None: what is left in equal parts, but no fewer than LEAST, into the next epoch if need be.
    """
    total = weights * steps if steps is not None else max(left, weights * LEAST)
    return tuple(begun + total * (number + 1) // weights for number in range(weights))


def read_stages(plan: HandoverPlanFacts, facts: Sequence[HandoverFacts]) -> list[Stage]:
    """The stages so far, oldest first; the last one is open while nothing is decided of it."""
    stages: list[Stage] = []
    for weight, group in groupby(facts, key=lambda fact: fact.weight):
        stretches = list(group)
        stages.append(_stage(plan, weight, stretches, after_a_hold=any(stage.word == "held" for stage in stages)))
    return stages


def largest_safe(stages: Sequence[Stage]) -> float | None:
    """The largest weight that was safe; None where none was."""
    return max((stage.weight for stage in stages if stage.word == "safe"), default=None)


def held(stages: Sequence[Stage]) -> Stage | None:
    return next((stage for stage in stages if stage.word == "held"), None)


def _stage(plan: HandoverPlanFacts, weight: float, stretches: list[HandoverFacts], *, after_a_hold: bool) -> Stage:
    recent = _recent(stretches)
    ce = _mean(recent, "ce")
    steps = sum(stretch.steps for stretch in stretches)
    done = weight in plan.weights and stretches[-1].step >= plan.ends[plan.weights.index(weight)]
    word: StageWord
    if after_a_hold:
        word = "back"
    elif not isfinite(ce) or (ce > plan.limit and (steps >= RECENT or done)):
        word = "held"
    else:
        word = "safe" if done else "open"
    measured = [stretch for stretch in stretches if isfinite(stretch.cosine)]
    rows = sum(stretch.rows for stretch in stretches)
    return Stage(
        weight=weight,
        word=word,
        first_step=stretches[0].step - stretches[0].steps + 1,
        last_step=stretches[-1].step,
        ce=ce,
        sdm=_mean(recent, "sdm"),
        cosine=fmean(stretch.cosine for stretch in measured) if measured else nan,
        norm_ratio=fmean(stretch.norm_ratio for stretch in measured) if measured else nan,
        measured=len(measured),
        without_positive=sum(stretch.rows_without_positive for stretch in stretches) / rows if rows else None,
        one_positive=sum(stretch.rows_with_one_positive for stretch in stretches) / rows if rows else None,
    )


def _recent(stretches: Sequence[HandoverFacts]) -> list[HandoverFacts]:
    """The last ones, that hold RECENT steps together."""
    found: list[HandoverFacts] = []
    for stretch in reversed(stretches):
        if sum(one.steps for one in found) >= RECENT:
            break
        found.append(stretch)
    return found


def _mean(stretches: Sequence[HandoverFacts], figure: Literal["ce", "sdm"]) -> float:
    steps = sum(one.steps for one in stretches)
    return float(sum(one.steps * getattr(one, figure) for one in stretches) / steps)
