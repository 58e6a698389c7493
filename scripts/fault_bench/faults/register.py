"""How a fault is written down: one function that makes the mistake, and the slug of what should be said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fault_bench.parts import Change, Stage


@dataclass(frozen=True)
class Fault:
    name: str
    wanted: tuple[str, ...]  # slugs; more than one only where two say the same of this fault
    stage: Stage
    structural: bool  # can be known from how the training is made, without waiting for CE
    not_on: tuple[str, ...]  # set-ups that this mistake cannot be made on
    change: Change
    title: str  # the mistake, as its function's docstring says it
    mended_by: tuple[str, ...]  # slugs of the trials' changes that take it away; the trials never see them


_faults: list[Fault] = []


def fault(
    *wanted: str,
    at: Stage,
    structural: bool = False,
    not_on: tuple[str, ...] = (),
    mended_by: tuple[str, ...] = (),
) -> Callable[[Change], Change]:
    """Declare a fault. Only the bench ever knows its name: the checks see the facts of the training, as always."""

    def declare(change: Change) -> Change:
        name = change.__name__.replace("_", "-")
        title = (change.__doc__ or name).strip().splitlines()[0].rstrip(".")
        _faults.append(Fault(name, wanted, at, structural, not_on, change, title, mended_by))
        return change

    return declare


def registered() -> list[Fault]:
    return list(_faults)
