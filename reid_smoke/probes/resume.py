"""What a script restored from an earlier run: which weights its load_state_dict brought, and an optimizer's state."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.optim import Optimizer

from reid_smoke.facts import ResumeFacts
from reid_smoke.probes.groups import as_float

MOST_LOADS = 16  # of models; who loads at every step, as some teachers do, resumes nothing


@dataclass
class _OptimizerLoad:
    optimizer: weakref.ref[Optimizer]
    where: str
    lrs_before: list[float | None] = field(default_factory=list)  # of each group
    lrs_loaded: list[float | None] = field(default_factory=list)  # as the load left them


class Resumed:
    """Told of each load_state_dict, of models and of optimizers."""

    def __init__(self) -> None:
        self._weights: dict[int, weakref.ref[Tensor]] = {}  # that came from a checkpoint
        self._loads = 0
        self._optimizers: list[_OptimizerLoad] = []

    def model_loaded(self, module: nn.Module, state_dict: object) -> None:
        self._loads += 1
        if self._loads > MOST_LOADS or not isinstance(state_dict, Mapping):
            return
        for name, parameter in module.named_parameters(remove_duplicate=False):
            if name in state_dict:
                self._weights[id(parameter)] = weakref.ref(parameter)

    def optimizer_loaded(self, optimizer: Optimizer, lrs_before: list[float | None], where: str) -> None:
        self._optimizers.append(_OptimizerLoad(weakref.ref(optimizer), where, lrs_before, rates_of(optimizer)))

    def facts(self, head: Tensor | None, step: int) -> ResumeFacts | None:
        """Of the first optimizer whose state was loaded; None where none was."""
        for load in self._optimizers:
            optimizer = load.optimizer()
            if optimizer is None:
                continue
            index = next((i for i, g in enumerate(optimizer.param_groups) if any(p is head for p in g["params"])), None)
            group = optimizer.param_groups[index] if index is not None else {}
            return ResumeFacts(
                step=step,
                where=load.where,
                optimizer=type(optimizer).__name__,
                updates=_updates(optimizer),
                head_loaded=self._came(head) if head is not None else None,
                head_in_state=head is not None and bool(optimizer.state.get(head)),
                lr_before=_at(load.lrs_before, index),
                lr_after=as_float(group.get("lr")),
                lr_loaded=_at(load.lrs_loaded, index),
            )
        return None

    def _came(self, parameter: Tensor) -> bool:
        known = self._weights.get(id(parameter))
        return known is not None and known() is parameter


def _at(rates: list[float | None], index: int | None) -> float | None:
    return rates[index] if index is not None and index < len(rates) else None


def rates_of(optimizer: Optimizer) -> list[float | None]:
    return [as_float(group.get("lr")) for group in optimizer.param_groups]


def _updates(optimizer: Optimizer) -> int | None:
    """How many steps its state has seen: 0 without any state, None where it does not count, as SGD with momentum."""
    states = [state for state in optimizer.state.values() if isinstance(state, Mapping) and state]
    counts = [state["step"] for state in states if isinstance(state.get("step"), (int, float, Tensor))]
    return int(max(map(float, counts))) if counts else None if states else 0
