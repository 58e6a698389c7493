"""What an optimizer's param groups say of a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer


class Places:
    """Where optimizers hold parameters, remembered: a group may have some hundred of them, and each step asks."""

    MOST = 64

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[int, int]] = {}  # by optimizer and parameter: group, and place in it

    def group_of(self, owner: Optimizer, parameter: Tensor | None) -> dict[str, Any] | None:
        """As the function of this name."""
        if parameter is None:
            return None
        key, groups = (id(owner), id(parameter)), owner.param_groups
        known = self._known.get(key)
        if known is not None and known[0] < len(groups):
            group: dict[str, Any] = groups[known[0]]
            held = group["params"]
            if known[1] < len(held) and held[known[1]] is parameter:
                return group
        found = _place_in(groups, parameter)
        if found is None:
            return None
        if len(self._known) >= self.MOST:
            self._known.clear()
        self._known[key] = found
        return groups[found[0]]

    def holds_any(self, owner: Optimizer, parameters: Sequence[Tensor]) -> bool:
        for parameter in parameters:  # noqa: SIM110  # the first one nearly always tells: no generator is made
            if self.group_of(owner, parameter) is not None:
                return True
        return False


def group_of(owner: object, parameter: Tensor | None) -> dict[str, Any] | None:
    """The group of `owner`, an optimizer or one written alike, that holds this parameter; None where none does."""
    groups = getattr(owner, "param_groups", ()) if parameter is not None else ()
    found = _place_in(groups, parameter)
    return groups[found[0]] if found is not None else None


def _place_in(groups: Sequence[dict[str, Any]], parameter: Tensor | None) -> tuple[int, int] | None:
    """Which group has it, and where; None where none has."""
    places = (
        (at, place) for at, group in enumerate(groups) for place, p in enumerate(group["params"]) if p is parameter
    )
    return next(places, None)


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
