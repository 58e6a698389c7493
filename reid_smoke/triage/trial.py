"""A trial: one thing changed, and which faults it would mend; no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

PlanT = TypeVar("PlanT")  # whatever describes a training: a Config, or the replay of a watched script

Part = Literal["model", "data", "optimizer"]

# Codes of faults that lie in a whole part, so that only its swap takes them away.
IN_THE_DATA = (
    "RS102", "RS103", "RS104", "RS106", "RS107", "RS110", "RS111", "RS113", "RS114", "RS117", "RS118", "RS211",
)  # fmt: skip
IN_THE_MODEL = ("RS305", "RS312", "RS503")
IN_THE_OPTIMIZER = ("RS209", "RS407", "RS510")


@dataclass(frozen=True)
class Trial(Generic[PlanT]):
    """One thing changed in a plan.

    name: what is changed, for people; reads on after "CE falls with".
    change: the changed plan; None or the same plan where this is no change.
    mends: codes of the faults that the change would take away. Baseline findings put a trial forward by these, a swap
        the first cause alone.
    slug: names the change for scripts, the same in every subject that makes it.
    swap: the whole part that the reference's takes the place of. A swap finds faults that no trial knows of, and says
        only where they lie.
    """

    name: str
    change: Callable[[PlanT], PlanT | None]
    mends: tuple[str, ...] = ()
    swap: Part | None = None
    slug: str = ""


def in_order(trials: Sequence[Trial[PlanT]], codes: Sequence[str]) -> list[Trial[PlanT]]:
    """What would mend the first cause comes first, then what would mend the other findings, then the rest as listed.

    codes: of the baseline's findings, first cause first.
    """

    def urgency(trial: Trial[PlanT]) -> int:
        return min((codes.index(code) for code in trial.mends if code in codes), default=len(codes))

    return sorted(trials, key=urgency)  # stable: the list's own order stays within one urgency
