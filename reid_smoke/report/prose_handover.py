"""Sentences and figures of a hand-over: one row for each weight of SDM, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reid_smoke.handover import ABOVE_THE_BAR
from reid_smoke.report.handover import Handover, HandoverStage

DROWNS = 10  # times CE's gradient
COLUMNS = ("weight", "", "CE", "SDM", "cosine", "|SDM|/|CE|", "no positive", "steps")
OUTCOMES = {"safe": "safe", "held": "held", "back": "back", "open": "not finished"}
ENDED = {"interrupted": "was interrupted", "crashed": "crashed", "killed": "was killed"}


def headline(found: Handover) -> str:
    """What was handed over, and when a weight is held."""
    weights = _listed([f"{weight:g}" for weight in found.weights])
    return (
        f"SDM between {found.sides} from step {found.began_after + 1} on, at {weights}; CE over {found.limit_ce:.2f}, "
        f"the bar + {ABOVE_THE_BAR:g}, holds the weight"
    )


def row(stage: HandoverStage) -> tuple[str, ...]:
    """One weight's figures, as COLUMNS names them; a dash for what was not measured."""
    return (
        f"{stage.weight:g}",
        OUTCOMES[stage.outcome],
        _figure(stage.ce, ".2f"),
        _figure(stage.sdm, ".2f"),
        _figure(stage.cosine, "+.2f"),
        _figure(stage.norm_ratio, ".3g"),
        _figure(stage.rows_without_positive, ".0%"),
        f"{stage.steps[0]} to {stage.steps[1]}",
    )


def says(found: Handover) -> list[str]:
    """What came of it, and what the figures are."""
    return [" ".join(_outcome(found)), *_notes(found)]


def _outcome(found: Handover) -> Iterator[str]:
    safe, over = found.largest_safe_weight, next((s for s in found.stages if s.outcome == "held"), None)
    if safe is not None:
        yield f"The largest weight that was safe is {safe:g}{'' if over else ', and none was held'}."
    elif over is not None or found.ended == "finished":
        yield "No weight was safe."
    if over is not None:
        ce = "CE was no finite number any more" if over.ce is None else f"CE went over the limit, to {over.ce:.2f}"
        yield f"At {over.weight:g} {ce} by step {over.steps[1]}, and the weight was held."
    last = found.stages[-1] if found.stages else None
    if last is not None and last.outcome == "back" and last.ce is not None:
        where = f"SDM at {last.weight:g}" if last.weight else "without SDM"
        came = "came back under the limit" if last.ce <= found.limit_ce else "stayed over the limit"
        yield f"From there on {where}, and CE {came}: {last.ce:.2f} by step {last.steps[1]}."
    if found.ended == "not finite":
        yield "No weight of SDM mends that: the training has to start again from before it."
    elif found.ended != "finished":
        after = f"after step {last.steps[1] if last else found.began_after}"
        yield f"It {ENDED[found.ended]} {after}, and what comes later is not known."


def _notes(found: Handover) -> Iterator[str]:
    pulls = [(s.weight * s.norm_ratio, s.weight) for s in found.stages if s.outcome == "safe" and s.norm_ratio]
    if pulls and max(pulls)[0] > DROWNS:
        pull, weight = max(pulls)
        yield (
            f"At {weight:g} SDM's gradient, with its weight, is {pull:,.0f} times CE's: the shared parameters follow "
            "SDM nearly alone, and that CE stays is up to the head, which SDM does not reach."
        )
    times = max((stage.measured for stage in found.stages), default=0)
    if times and found.shared_parameters:
        yield (
            "Cosine and norms are of the gradients of CE and SDM, without its weight, over the "
            f"{found.shared_parameters} parameters that both reach, measured at most {times} "
            f"time{'s' if times > 1 else ''} a weight."
        )
    shares = [stage.rows_with_one_positive for stage in found.stages if stage.rows_with_one_positive is not None]
    if shares and sum(shares) / len(shares) > 0.5:
        yield (
            f"{sum(shares) / len(shares):.0%} of SDM's rows have one positive, their own pair: it contrasts pairs, and "
            "learns little of what an identity's pairs share."
        )


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


def _listed(words: Sequence[str]) -> str:
    """`0.1, 0.3 and 0.5`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
