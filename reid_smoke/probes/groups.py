"""What an optimizer's param groups say of a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor


def group_of(owner: object, parameter: Tensor | None) -> dict[str, Any] | None:
    """The group of `owner`, an optimizer or one written alike, that holds this parameter; None where none does."""
    groups = getattr(owner, "param_groups", ()) if parameter is not None else ()
    return next((group for group in groups if any(p is parameter for p in group["params"])), None)


def holds(owner: object, parameter: Tensor) -> bool:
    return group_of(owner, parameter) is not None


def held_by(optimizers: Sequence[object]) -> frozenset[int] | None:
    """Ids of the parameters in any group of these; None where there is no optimizer."""
    if not optimizers:
        return None
    groups = (group for one in optimizers for group in getattr(one, "param_groups", ()))
    return frozenset(id(parameter) for group in groups for parameter in group["params"])


def lr_set(group: dict[str, Any]) -> float | None:
    """The learning rate that the group's schedule leads to: OneCycleLR's highest, else the one that the optimizer was
    built with; None where no schedule left it there."""
    return as_float(group.get("max_lr")) or as_float(group.get("initial_lr"))


def as_float(value: object) -> float | None:
    """A setting of a group; a tensor on a device is left there, since reading it would wait for the device."""
    if isinstance(value, Tensor):
        return float(value) if value.device.type == "cpu" else None
    return float(value) if isinstance(value, (int, float)) else None
