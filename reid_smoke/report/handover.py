"""What the report says of a hand-over: a line of figures for each weight of SDM; no torch."""

from __future__ import annotations

from math import isfinite
from typing import Literal

from pydantic import BaseModel, ConfigDict

from reid_smoke.facts import HandoverEndFacts, HandoverFacts, HandoverPlanFacts
from reid_smoke.handover import StageWord, held, largest_safe, read_stages
from reid_smoke.ledger import Ledger


class HandoverStage(BaseModel):
    """The steps at one weight. `outcome`: safe, held, back (at the last safe weight after one was held), or open (the
    training ended meanwhile)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    weight: float
    outcome: StageWord
    steps: tuple[int, int]  # both included
    ce: float | None  # nats, plain, mean over the last 20 of them
    sdm: float | None  # nats, without the weight, the same
    cosine: float | None  # between the gradients of CE and SDM on the parameters that both reach
    norm_ratio: float | None  # |gradient of SDM| / |gradient of CE| there, without the weight
    measured: int  # times that the two were, of which they are the means
    rows_without_positive: float | None  # share of SDM's rows
    rows_with_one_positive: float | None


class Handover(BaseModel):
    """How SDM's weight was raised after the GO; no part of the verdict."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    began_after: int  # the last step of the warm-up
    sides: str  # what SDM compares
    limit_ce: float  # nats: CE over it holds the weight
    weights: tuple[float, ...]  # that were planned
    largest_safe_weight: float | None  # null: none was
    held_weight: float | None  # at which CE went over the limit
    ended: Literal["finished", "not finite", "interrupted", "crashed", "killed"]
    seconds: float | None
    shared_parameters: int | None  # that both losses reach
    stages: tuple[HandoverStage, ...]
    curve: tuple[tuple[int, float | None, float | None], ...]  # (step, CE, SDM), means over some steps up to it


def handover_entry(ledger: Ledger) -> Handover | None:
    """None where nothing was handed over."""
    plan, end = ledger.last(HandoverPlanFacts), ledger.last(HandoverEndFacts)
    if plan is None:
        return None
    facts = ledger.all(HandoverFacts)
    stages = read_stages(plan, facts)
    over = held(stages)
    return Handover(
        began_after=plan.step,
        sides=plan.sides,
        limit_ce=plan.limit,
        weights=plan.weights,
        largest_safe_weight=largest_safe(stages),
        held_weight=over.weight if over else None,
        ended=end.how if end else "killed",
        seconds=_finite(end.seconds) if end else None,
        shared_parameters=max((fact.shared for fact in facts), default=0) or None,
        stages=tuple(
            HandoverStage(
                weight=stage.weight,
                outcome=stage.word,
                steps=(stage.first_step, stage.last_step),
                ce=_finite(stage.ce),
                sdm=_finite(stage.sdm),
                cosine=_finite(stage.cosine),
                norm_ratio=_finite(stage.norm_ratio),
                measured=stage.measured,
                rows_without_positive=stage.without_positive,
                rows_with_one_positive=stage.one_positive,
            )
            for stage in stages
        ),
        curve=tuple((fact.step, _finite(round(fact.ce, 5)), _finite(round(fact.sdm, 5))) for fact in facts),
    )


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
