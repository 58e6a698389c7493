"""What is kept of a watched training so that it can be played again: its first batches, and its parts before a step.

A batch is kept as the calls that made the logits: each outermost call of a module, with its arguments. An argument that
an earlier call gave is kept as the way to it, everything else as a copy. So any convention of calling works, and of
what returns, too; what plain functions computed between two modules does not, and that is said.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from reid_smoke.errors import in_a_line

MOST_BATCHES = 8
MOST_BYTES = 256 << 20  # of all batches; one is kept whatever it takes

Way: TypeAlias = tuple[Any, ...]  # keys, indices and names from a value down to a tensor


class CannotReplay(Exception):
    """Why there is no replay, in words."""


@dataclass(frozen=True)
class Given:
    """An argument that an earlier call returned."""

    call: int
    way: Way


@dataclass(frozen=True)
class Call:
    """An outermost call of a module. `args` and `kwargs` hold copies, and Given in the place of what was given."""

    module: nn.Module  # theirs; `Parts.of` finds its copy
    args: Any
    kwargs: Any


@dataclass(frozen=True)
class Batch:
    """calls: those that the logits need, in order. labels (B,) int64, counted (B,) bool.

    logits: the call and the way to them; None where the call's result has the loss and not the logits.
    scale: what they are multiplied with on the way to the loss.
    """

    calls: tuple[Call, ...]
    labels: Tensor
    counted: Tensor
    num_classes: int
    logits: Given | None
    scale: float = 1.0


def _copy_what_is_its_own(original: Optimizer, copied: Optimizer, memo: dict[int, Any]) -> None:
    """A copy of torch's has the groups, the state and the defaults; an optimizer of the user's own may have more."""
    for name, value in vars(original).items():
        # What stands in the place of a method, or holds on to something, would go on changing the original.
        holds = getattr(value, "__self__", None) is not None or getattr(value, "__closure__", None) is not None
        if not hasattr(copied, name) and not holds:
            setattr(copied, name, copy.deepcopy(value, memo))


@dataclass
class Parts:
    """Modules and optimizers that belong together, copied together: what they share stays shared."""

    modules: list[nn.Module]
    optimizers: list[Optimizer]
    head: Tensor | None
    copies: dict[int, Any] = field(default_factory=dict)  # by the id of their original; the originals live on

    def copy(self) -> Parts:
        """Raises CannotReplay where something refuses to be copied."""
        memo: dict[int, Any] = {}
        try:
            modules, optimizers = copy.deepcopy((self.modules, self.optimizers), memo)
            for original, copied in zip(self.optimizers, optimizers, strict=True):
                _copy_what_is_its_own(original, copied, memo)
        except Exception as error:  # what their classes raise, who were not made to be copied
            raise CannotReplay(f"the model or its optimizer cannot be copied ({in_a_line(error)})") from None
        head = memo.get(id(self.head)) if self.head is not None else None
        # The first copy is asked for by what was recorded, a copy of it by the same: ways are joined.
        copies = {key: memo.get(id(value)) for key, value in self.copies.items()} if self.copies else dict(memo)
        return Parts(modules, optimizers, head, copies)

    def of(self, original: nn.Module) -> Any:
        """The copy of a module of theirs."""
        return self.copies.get(id(original))

    def parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Each once."""
        seen: set[int] = set()
        for module in self.modules:
            for name, parameter in module.named_parameters():
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield name, parameter

    def bytes(self) -> int:
        tensors = [t for module in self.modules for t in (*module.parameters(), *module.buffers())]
        return sum(t.numel() * t.element_size() for t in tensors)


@dataclass
class Kept:
    """All that a replay needs.

    device: where they train. originals: the parameters that are trained there. never_backward: no classification loss
    went backward, and the batches are what it was given all the same.
    """

    parts: Parts
    batches: list[Batch]
    device: torch.device
    originals: list[Tensor] = field(default_factory=list)
    never_backward: bool = False

    def bytes(self) -> int:
        return self.parts.bytes() + sum(batch_bytes(batch) for batch in self.batches)


def batch_bytes(batch: Batch) -> int:
    return sum(t.numel() * t.element_size() for call in batch.calls for _, t in tensors_in((call.args, call.kwargs)))


def tensors_in(value: Any, way: Way = ()) -> Iterator[tuple[Way, Tensor]]:
    """Every tensor in nested lists, tuples, dicts and dataclasses, with the way to it."""
    if isinstance(value, Tensor):
        yield way, value
    elif isinstance(value, Mapping):
        for key in value:
            yield from tensors_in(value[key], (*way, ("key", key)))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from tensors_in(item, (*way, ("key", index)))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for one in dataclasses.fields(value):
            yield from tensors_in(getattr(value, one.name, None), (*way, ("name", one.name)))


def at(value: Any, way: Way) -> Any:
    for kind, key in way:
        value = value[key] if kind == "key" else getattr(value, key)
    return value


def replaced(value: Any, new: Callable[[Any], Any]) -> Any:
    """`value` with `new(leaf)` for each tensor and each Given in it; what else it holds is the same object."""
    if isinstance(value, (Tensor, Given)):
        return new(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(replaced(item, new) for item in value))
    if type(value) in (list, tuple):
        return type(value)(replaced(item, new) for item in value)
    if isinstance(value, Mapping):
        items = {key: replaced(value[key], new) for key in value}
        if type(value) is dict:
            return items
        changed = copy.copy(value)
        for key, item in items.items():
            changed[key] = item  # type: ignore[index]  # HF's BatchEncoding and the like can be written to
        return changed
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        twin: Any = copy.copy(value)
        for one in dataclasses.fields(value):
            if hasattr(value, one.name):
                object.__setattr__(twin, one.name, replaced(getattr(value, one.name), new))
        return twin
    return value
