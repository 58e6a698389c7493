"""How many batches a loader promises: `len` of what draws them, which nobody but us may have asked for.

A sampler's length is the user's code. Some draw the epoch's batches to count them, which takes random numbers, or keep
what they drew for the epoch to come; then to be asked would change the training. So a copy is asked, and whatever
generators it can reach are put back to where they were.
"""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.utils.data import BatchSampler, RandomSampler, SequentialSampler

PLAIN = (BatchSampler, RandomSampler, SequentialSampler)  # torch's own, which count without any side effect
MOST_DEEP = 4  # a sampler within a sampler within ...


def promised_by(iterator: object) -> int | None:
    """Batches of a DataLoader's iterator; None: no length is known."""
    try:
        sampler = iterator._index_sampler  # type: ignore[attr-defined]  # every one of torch's has it
        if all(type(one) in PLAIN for one in _chain(sampler)):
            return len(sampler)
        with _generators_as_they_are(sampler):
            return len(_copied(sampler))
    except Exception:  # a sampler without a length, or one whose __len__ is broken: theirs to find out
        return None


def _inner(sampler: Any) -> dict[str, Any]:
    """What it draws from, by the attribute: whatever has batches or indices to give, and is no data set."""
    own = getattr(sampler, "__dict__", {})
    return {name: value for name, value in own.items() if "sampler" in name and hasattr(value, "__iter__")}


def _chain(sampler: Any) -> list[Any]:
    """A sampler and those within it."""
    found: list[Any] = []
    ahead = [sampler]
    while ahead and len(found) < MOST_DEEP:
        found.append(ahead.pop())
        ahead += _inner(found[-1]).values()
    return found


def _copied(sampler: Any, depth: int = 0) -> Any:
    """A copy, and of the samplers within it; what else it holds is the same."""
    inner = _inner(sampler) if depth < MOST_DEEP else {}
    twin = copy.copy(sampler)
    for name, value in inner.items():
        twin.__dict__[name] = _copied(value, depth + 1)
    return twin


@contextmanager
def _generators_as_they_are(sampler: Any) -> Iterator[None]:
    """Python's, NumPy's and torch's own, and those that the sampler and the samplers within it hold."""
    with ExitStack() as back:
        state = random.getstate()
        back.callback(random.setstate, state)
        of_torch = torch.get_rng_state()
        back.callback(torch.set_rng_state, of_torch)
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            back.callback(numpy.random.set_state, numpy.random.get_state())
        for holder in _chain(sampler):
            for value in getattr(holder, "__dict__", {}).values():
                _put_back(value, back)
        yield


def _put_back(value: Any, back: ExitStack) -> None:
    if isinstance(value, torch.Generator):
        back.callback(value.set_state, value.get_state())
    elif isinstance(value, random.Random):
        back.callback(value.setstate, value.getstate())
    elif type(value).__module__.startswith("numpy.random"):
        if type(value).__name__ == "RandomState":
            back.callback(value.set_state, value.get_state())
        elif type(value).__name__ == "Generator":
            bits = value.bit_generator
            back.callback(setattr, bits, "state", bits.state)
