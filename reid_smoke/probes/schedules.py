"""The learning rate's schedules: how often each was stepped, and how long its shape is by its own settings."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from torch import Tensor
from torch.optim.lr_scheduler import ConstantLR, LinearLR, LRScheduler, ReduceLROnPlateau

from reid_smoke.facts import ScheduleFacts, ScheduleRecord
from reid_smoke.probes.groups import as_float, group_of, lr_set

# As torch's own schedules call their lengths, and as people's call theirs, in steps or in epochs.
LENGTHS = ("total_iters", "T_max", "total_steps", "step_size", "T_0", "max_iters", "milestones", "num_training_steps")
WARM_UPS = ("warmup_iters", "warmup_steps", "warmup_epochs", "warmup", "num_warmup_steps")


class Schedules:
    """Reads the schedules of the optimizers that hold the head."""

    def __init__(self) -> None:
        self._first: WeakKeyDictionary[LRScheduler, int] = WeakKeyDictionary()  # position when it was first seen

    def facts(
        self, schedulers: Sequence[LRScheduler], head: Tensor | None, *, step: int, updates: int, epochs: int
    ) -> ScheduleFacts | None:
        """What they are at, None where no schedule moves the head's learning rate.

        updates: steps that optimizers took so far. epochs: that are over, and what follows upon them done.
        """
        records: list[ScheduleRecord] = []
        lr = top = None
        for scheduler in schedulers:
            group = group_of(getattr(scheduler, "optimizer", None), head)
            if group is None:
                continue
            lr, top = as_float(group.get("lr")), lr_set(group)
            position = int(getattr(scheduler, "last_epoch", 0))
            first = self._first.setdefault(scheduler, position)
            records.append(
                ScheduleRecord(
                    name=type(scheduler).__name__,
                    position=position,
                    calls=position - first,
                    length=_longest(scheduler, LENGTHS),
                    warm_up=_warm_up(scheduler),
                )
            )
        if not records:
            return None
        return ScheduleFacts(step=step, updates=updates, epochs=epochs, lr=lr, lr_set=top, schedules=tuple(records))


def outermost(schedulers: Sequence[object]) -> list[LRScheduler]:
    """Without those that another one steps, and those that wait for a metric, whose steps tell nothing."""
    found = [s for s in schedulers if isinstance(s, LRScheduler) and not isinstance(s, ReduceLROnPlateau)]
    inner = {id(part) for s in found for part in _parts(s)}
    return [s for s in found if id(s) not in inner]


def _parts(scheduler: LRScheduler) -> list[LRScheduler]:
    parts = getattr(scheduler, "_schedulers", ())
    return [part for part in parts if isinstance(part, LRScheduler)]


def _warm_up(scheduler: LRScheduler) -> int | None:
    """Over how many of its own steps it rises; None where its settings do not tell."""
    parts = _parts(scheduler)
    if parts:
        return max((length for part in parts if (length := _warm_up(part)) is not None), default=None)
    if isinstance(scheduler, ConstantLR):
        return scheduler.total_iters if scheduler.factor < 1 else None
    if isinstance(scheduler, LinearLR):
        return scheduler.total_iters if scheduler.start_factor < scheduler.end_factor else None
    phases = getattr(scheduler, "_schedule_phases", None)  # OneCycleLR
    if phases:
        return int(phases[0]["end_step"])
    return _longest(scheduler, WARM_UPS)


def _longest(scheduler: LRScheduler, names: Sequence[str]) -> int | None:
    """The largest number among the settings of these names, those of its parts and of its functions included."""
    functions = [f for f in getattr(scheduler, "lr_lambdas", ()) if isinstance(f, functools.partial)]
    settings = [vars(scheduler), *(f.keywords for f in functions)]
    lengths = [length for part in _parts(scheduler) if (length := _longest(part, names)) is not None]
    for name in names:
        for given in settings:
            value = given.get(name)
            values = value if isinstance(value, (list, tuple, dict)) else (value,)
            lengths += [int(v) for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    return max(lengths, default=None)
