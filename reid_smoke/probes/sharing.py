"""Which parameters are stepped more than once for one gradient: by two optimizers, or by one that holds them twice."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from torch import Tensor
from torch.optim import Optimizer

from reid_smoke.facts import SharedFacts

SEEN = 3  # batches in which it happened, before it is written down
MOST_NAMES = 8


@dataclass(frozen=True)
class _Held:
    """What an optimizer holds, by id, and how often each."""

    parameters: dict[int, Tensor]
    twice: frozenset[int]  # that it holds in more than one place
    places: int


class Sharing:
    """Told of each backward and each step. Between two backwards the gradient is one and the same.

    stepped: since the last backward. Who drops an optimizer, with all that it keeps, does not have it kept here.
    """

    def __init__(self) -> None:
        self._held: WeakKeyDictionary[Optimizer, _Held] = WeakKeyDictionary()
        self.stepped: list[weakref.ref[Optimizer]] = []
        self._shared: dict[int, Tensor] = {}
        self._times = 0
        self._written: set[int] = set()

    @property
    def is_found(self) -> bool:
        """Since the last backward."""
        return bool(self._shared)

    def step(self, optimizer: Optimizer) -> None:
        """An optimizer is about to step."""
        earlier = _alive(self.stepped) if self.stepped else []
        if earlier and any(optimizer is other for other in earlier):
            return  # it steps once more: that is counted elsewhere
        held = self._what_it_holds(optimizer)
        ids = set(held.twice)
        for other in earlier:
            ids |= held.parameters.keys() & self._held[other].parameters.keys()
        self._shared.update((key, held.parameters[key]) for key in ids if held.parameters[key].grad is not None)
        self.stepped.append(weakref.ref(optimizer))

    def next_gradient(self, step: int, name: Callable[[Tensor], str]) -> SharedFacts | None:
        """Another backward begins, or the training ended. What is to be written down, once it is certain."""
        if not self.is_found:
            self.stepped.clear()
            return None
        stepped, self.stepped = _alive(self.stepped), []
        shared, self._shared = self._shared, {}
        self._times += 1
        if self._times < SEEN or self._written >= shared.keys():
            return None
        self._written |= shared.keys()
        first = next(iter(shared))
        places = [
            (type(optimizer).__name__, group.get("lr"))
            for optimizer in stepped
            for group in optimizer.param_groups
            for parameter in group["params"]
            if id(parameter) == first
        ]
        return SharedFacts(
            step=step,
            count=len(shared),
            names=tuple(name(parameter) for parameter in list(shared.values())[:MOST_NAMES]),
            by=tuple(kind for kind, _ in places),
            lrs=tuple(float(lr) if isinstance(lr, (int, float)) else None for _, lr in places),
        )

    def _what_it_holds(self, optimizer: Optimizer) -> _Held:
        known = self._held.get(optimizer)
        places = sum(len(group["params"]) for group in optimizer.param_groups)
        if known is None or known.places != places:
            held = [p for group in optimizer.param_groups for p in group["params"]]
            twice = frozenset(key for key, times in Counter(map(id, held)).items() if times > 1)
            known = self._held[optimizer] = _Held({id(p): p for p in held}, twice, places)
        return known


def _alive(optimizers: list[weakref.ref[Optimizer]]) -> list[Optimizer]:
    return [optimizer for ref in optimizers if (optimizer := ref()) is not None]
