"""Parameters, optimizers and schedules."""

from __future__ import annotations

from typing import Literal

from reid_smoke.facts.base import Fact, Role


class ParameterRecord(Fact):
    """One parameter, as the loss's graph and the optimizers see it."""

    name: str
    shape: tuple[int, ...]
    role: Role
    requires_grad: bool
    group: int | None = None  # index over the groups of all optimizers; None: in none
    lr: float | None = None
    lr_initial: float | None = None  # as a scheduler found it; None: no scheduler
    weight_decay: float | None = None
    reached: bool = False  # the loss's autograd graph ends in it
    dtype: str = ""  # float32, float16, ...; "" in ledgers of before it was recorded
    eps: float | None = None  # of its group, for optimizers that have one
    maximize: bool = False  # its group climbs the gradient instead of descending it


class ParameterFacts(Fact):
    """Every live parameter at a step. Written at the first steps and when something about them changed."""

    kind: Literal["parameters"] = "parameters"
    step: int
    optimizer: str  # class name(s); "" where no optimizer has been seen yet
    parameters: tuple[ParameterRecord, ...]
    orphans: int = 0  # parameters in an optimizer that no live model holds
    orphan_shapes: tuple[tuple[int, ...], ...] = ()  # the first few of them
    optimizer_holds_head: bool | None = None  # None: no optimizer seen yet


class SharedFacts(Fact):
    """Parameters that were stepped more than once for one gradient. Written once it has happened at a few steps."""

    kind: Literal["shared"] = "shared"
    step: int
    count: int  # such parameters
    names: tuple[str, ...]  # the first few of them
    by: tuple[str, ...]  # where the first of them is held: class of the optimizer, once for each place
    lrs: tuple[float | None, ...] = ()  # in each of these places


class ScheduleRecord(Fact):
    """One schedule of the head's learning rate. Lengths are in its own steps, None where its settings do not tell."""

    name: str  # its class
    position: int  # where on its way it is
    calls: int  # how far it went since it was first seen
    length: int | None = None
    warm_up: int | None = None  # over which it rises


class ScheduleFacts(Fact):
    """The schedules of the optimizer that holds the head. Written at the walks, after each epoch and at the end."""

    kind: Literal["schedule"] = "schedule"
    step: int
    updates: int  # optimizer steps so far
    epochs: int  # that were over, and the first steps of the next one done
    lr: float | None  # of the head's group
    lr_set: float | None  # the one that the schedules are to reach
    schedules: tuple[ScheduleRecord, ...]


class ResumeFacts(Fact):
    """An optimizer's state came from an earlier run. Written at the first step, when the head is known."""

    kind: Literal["resume"] = "resume"
    step: int
    where: str  # file and line of the call
    optimizer: str  # class name
    updates: int | None  # that its state had seen; None: it does not count them, as SGD with momentum
    head_loaded: bool | None  # a load_state_dict brought the head's weight; None: no head known
    head_in_state: bool = False  # it holds something for the head's weight itself
    lr_before: float | None = None  # of the head's group, as the script had built it
    lr_after: float | None = None  # at the first step
    lr_loaded: float | None = None  # as the load left it, before anything else set it; None: not known
