"""A trial: one thing changed, and which faults it would mend; no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from reid_smoke.checks.catalogue import Part, check_of

PlanT = TypeVar("PlanT")  # whatever describes a training: a Config, or the replay of a watched script


@dataclass(frozen=True)
class Trial(Generic[PlanT]):
    """One thing changed in a plan.

    name: what is changed, for people; reads on after "CE falls with".
    change: the changed plan; None or the same plan where this is no change.
    mends: codes of the faults that the change would take away, beside those that a check says lie in the swapped part.
        Baseline findings put a trial forward by these, a swap the first cause alone.
    slug: names the change for scripts, the same in every subject that makes it.
    swap: the whole part that the reference's takes the place of. A swap finds faults that no trial knows of, and says
        only where they lie.
    """

    name: str
    change: Callable[[PlanT], PlanT | None]
    mends: tuple[str, ...] = ()
    swap: Part | None = None
    slug: str = ""

    def takes_away(self, code: str) -> bool:
        """Whether it would mend what that check finds."""
        return code in self.mends or (self.swap is not None and lies_in(code) == self.swap)


def lies_in(code: str) -> Part | None:
    """The whole part that what this check finds lies in; None where it is no whole part, or the check is not known."""
    entry = check_of(code)
    return entry.lies_in if entry is not None else None


def in_order(trials: Sequence[Trial[PlanT]], codes: Sequence[str]) -> list[Trial[PlanT]]:
    """What would mend the first cause comes first, then what would mend the other findings, then the rest as listed.

    codes: of the baseline's findings, first cause first.
    """

    def urgency(trial: Trial[PlanT]) -> int:
        return next((place for place, code in enumerate(codes) if trial.takes_away(code)), len(codes))

    return sorted(trials, key=urgency)  # stable: the list's own order stays within one urgency
