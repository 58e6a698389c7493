"""Is it still the same head, and the same optimizer? A loop may make them anew without anybody noticing."""

from __future__ import annotations

from weakref import WeakSet

from torch import Tensor
from torch.optim import Optimizer


class Continuity:
    """Counts the heads and the optimizers that took each other's place."""

    def __init__(self) -> None:
        self._heads: dict[tuple[str, tuple[int, ...]], set[int]] = {}
        self._kept: list[Tensor] = []  # so that a later head cannot have an earlier one's id
        self._optimizers: WeakSet[Optimizer] = WeakSet()
        self.heads = 0  # the most of one name and shape
        self.optimizers = 0  # that stepped the head, one after the other or side by side

    def head(self, weight: Tensor, name: str) -> None:
        ids = self._heads.setdefault((name, tuple(weight.shape)), set())
        if id(weight) not in ids and len(self._kept) < 8:
            self._kept.append(weight)
            ids.add(id(weight))
            self.heads = max(self.heads, len(ids))

    def stepped(self, optimizer: Optimizer) -> None:
        if optimizer not in self._optimizers:
            self._optimizers.add(optimizer)
            self.optimizers += 1
