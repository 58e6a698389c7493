"""The nodes of an autograd graph: their names, their edges, and what lies behind them.

torch's nodes are C++ objects whose attributes depend on the operation; whatever reads a graph stands on these few.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, wraps
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from reid_smoke.own_function import OWN

# There is no type for them in torch.
Node: TypeAlias = Any

ACCUMULATE = "AccumulateGrad"
PRODUCTS = ("MmBackward", "AddmmBackward", "BmmBackward", "BaddbmmBackward", "ConvolutionBackward", "LinearBackward")
POOLS = ("MeanBackward", "AdaptiveAvgPool", "AvgPool", "MaxPool", "AdaptiveMaxPool")
NORMS = ("BatchNorm", "LayerNorm", "GroupNorm")
TELLS_OF_HOOKS = hasattr(torch._C._autograd.SavedTensor, "unpack_hook")  # older torch does not
COPIES_BACK = "save_on_cpu."  # torch's own, which may be asked again and again
LONGEST_PATH = 24  # nodes; beyond this the classifier's input is not "what feeds it" any more


def name_of(node: Node) -> str:
    """The operation's name without its overload number: `Mm`, `NativeBatchNorm`, `AccumulateGrad`."""
    return _short(node.name())


def is_a(node: Node, kinds: tuple[str, ...]) -> bool:
    """Whether the operation's full name holds one of these."""
    return _holds(node.name(), kinds)


# A walk asks for names some thousand times, and there are a few dozen of them.
@lru_cache(maxsize=1024)
def _short(full: str) -> str:
    name = full.rsplit("::", 1)[-1]
    return name.split("Backward")[0] if "Backward" in name else name


@lru_cache(maxsize=4096)
def _holds(name: str, kinds: tuple[str, ...]) -> bool:
    return any(kind in name for kind in kinds)


def edges(node: Node) -> list[Node | None]:
    return [edge[0] for edge in node.next_functions]


def shape_of(node: Node) -> tuple[int, ...]:
    """Of the first tensor that the operation made; () where torch does not tell, as for a number."""
    made = getattr(node, "_input_metadata", None)  # what its gradient has to look like
    try:
        return tuple(int(size) for size in made[0].shape) if made else ()
    except (RuntimeError, TypeError):  # a nested or a symbolic one
        return ()


def follow(node: Node | None, path: tuple[int, ...]) -> Node | None:
    """The node at the end of a remembered path; None where the graph has another shape now."""
    for index in path:
        if node is None:
            return None
        children = node.next_functions
        if index >= len(children):
            return None
        node = children[index][0]
    return node


def behind(start: Node | None, ends: Callable[[Node], bool] = lambda node: False) -> Iterator[Node]:
    """`start` and every node behind it, each once, the nearest first; nothing behind those that `ends` holds for."""
    queue, seen = deque([start]), set()
    while queue:
        node = queue.popleft()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        if not ends(node):
            queue.extend(edges(node))


def saved(node: Node | None, name: str) -> Any:
    """What an operation keeps for its backward by that name of torch's; None where it keeps no such thing, or hides it.

    Somebody's hook may have packed it away, and to ask for it is to have that hook unpack it: a checkpoint computes its
    piece of the model once more, batch norms included, and who moves activations to another place may give each back
    once only. That is backward's alone.
    """
    if not TELLS_OF_HOOKS:
        with _only_what_is_not_packed():
            return getattr(node, f"_saved_{name}", None)
        return None
    kept = getattr(node, f"_raw_saved_{name}", None)
    if isinstance(kept, (tuple, list)):
        if any(map(_is_packed, kept)):
            return None
    elif kept is not None and _is_packed(kept):
        return None
    return getattr(node, f"_saved_{name}", None)


def keeps(node: Node, name: str) -> bool:
    """Whether there is such a thing to be read, without reading it."""
    if not TELLS_OF_HOOKS:
        return saved(node, name) is not None
    kept = getattr(node, f"_raw_saved_{name}", None)
    return kept is not None and not _is_packed(kept)


def all_saved(node: Node) -> tuple[Any, ...]:
    """The same of a function that keeps what it likes: nothing, where it hides any of it."""
    if not TELLS_OF_HOOKS:
        with _only_what_is_not_packed():
            return tuple(node.saved_tensors)
        return ()
    if any(map(_is_packed, node._raw_saved_tensors)):
        return ()
    return tuple(node.saved_tensors)


def _is_packed(kept: Any) -> bool:
    hook = kept.unpack_hook
    return hook is not None and not _copies_back(hook)


def _copies_back(hook: Any) -> bool:
    return bool(getattr(hook, "__qualname__", "").startswith(COPIES_BACK))


class _PackedAway(Exception):
    """What we asked for is, and stays so."""


_asking = threading.local()  # whether it is us who ask


@contextmanager
def _only_what_is_not_packed() -> Iterator[None]:
    _asking.is_us = True
    try:
        yield
    except _PackedAway:
        pass
    finally:
        _asking.is_us = False


def deaf_to_us(unpack: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Such a hook, where torch does not tell of it: it does nothing when it is us who ask."""
    if _copies_back(unpack):
        return unpack

    @wraps(unpack)
    def theirs(packed: Any) -> Any:
        if getattr(_asking, "is_us", False):
            raise _PackedAway
        return unpack(packed)

    return theirs


def saved_storage(node: Node, name: str) -> int | None:
    """Address of a saved tensor's storage, to find the module that it belongs to."""
    value = saved(node, name)
    return value.data_ptr() if isinstance(value, Tensor) else None


def root_of(tensors: object) -> Node | None:
    """The graph's root for what backward was called on: a tensor or a sequence of them; the first with a graph."""
    if isinstance(tensors, Tensor):
        return tensors.grad_fn
    candidates = tensors if isinstance(tensors, (list, tuple)) else ()
    return next((t.grad_fn for t in candidates if isinstance(t, Tensor) and t.grad_fn is not None), None)


def names_below(node: Node, most: int = LONGEST_PATH) -> tuple[str, ...]:
    """The operations that made what `node` was given, the last in front, down to the first product."""
    names: list[str] = []
    child = follow(node, (0,))
    while child is not None and len(names) < most and not is_a(child, (ACCUMULATE,)):
        names.append(name_of(child))
        if is_a(child, PRODUCTS):
            break
        child = next((c for c in edges(child) if c is not None), None)
    return tuple(names)


def loss_in_words(root: Node) -> str:
    """The last few operations behind a loss, the last in front: `Mean < Pow < Sub`. Functions of the user's own are
    marked as such."""
    names: list[str] = []
    node: Node | None = root
    while node is not None and len(names) < 4 and not is_a(node, (ACCUMULATE,)):
        is_own = isinstance(node, BackwardCFunction) and not is_a(node, ("Compiled",))
        names.append(name_of(node) + OWN * is_own)
        node = next((child for child in edges(node) if child is not None), None)
    return " < ".join(names)


def scalar_of(tensors: object) -> Tensor | None:
    """The loss itself as a detached 0-d tensor, where there is just one."""
    if isinstance(tensors, (list, tuple)) and len(tensors) == 1:
        tensors = tensors[0]
    if isinstance(tensors, Tensor) and tensors.numel() == 1:
        loss = tensors.detach()
        return loss if loss.dim() == 0 and loss.dtype is torch.float32 else loss.reshape(()).to(torch.float32)
    return None
