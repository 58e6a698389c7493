"""What lies behind a function that hides its graph, as a checkpoint with `use_reentrant=True` does.

Such a function runs a piece of the model without a graph, and once more within backward, to save memory. What it runs
is kept with its node; so the parameters of that piece are found although no edge leads to them.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from functools import partial
from types import FunctionType, MethodType

from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction

from reid_smoke.probes.nodes import Node

MOST_DEEP = 4  # a function within a function within a list ...


def recomputed_parameters(node: Node) -> list[Tensor]:
    """Those that ask for a gradient, of every module that a function of somebody's own keeps for its backward."""
    if not isinstance(node, BackwardCFunction):
        return []
    found = {id(p): p for module in _modules_in(list(vars(node).values()), 0) for p in module.parameters()}
    return [p for p in found.values() if p.requires_grad]


def _modules_in(value: object, depth: int) -> Iterator[nn.Module]:
    if issubclass(type(value), nn.Module):
        yield value  # type: ignore[misc]  # told by `type`: a proxy may answer to isinstance with side effects
    elif depth < MOST_DEEP:
        for inner in _inside(value):
            yield from _modules_in(inner, depth + 1)


def _inside(value: object) -> list[object]:
    if isinstance(value, MethodType):
        return [value.__self__]
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, FunctionType):
        with contextlib.suppress(ValueError):  # a name that is given its value only later
            return list(inspect.getclosurevars(value).nonlocals.values())
    if isinstance(value, (list, tuple)):
        return list(value)
    return []
