"""Is it still the same head, and the same optimizer? A loop may make them anew without anybody noticing."""

from __future__ import annotations

from weakref import WeakSet

import torch
from torch import Tensor
from torch.optim import Optimizer

SAMPLE = 1 << 13  # elements of each
CARRIED = 0.3  # cosine; of two that were drawn apart from each other it is 0, give or take 0.01 to 0.1


class Continuity:
    """Counts the heads and the optimizers that took each other's place."""

    def __init__(self) -> None:
        self._heads: dict[tuple[str, tuple[int, ...]], set[int]] = {}
        self._kept: list[Tensor] = []  # so that a later head cannot have an earlier one's id, and for what it came to
        self._starts: list[Tensor] = []  # of each
        self._optimizers: WeakSet[Optimizer] = WeakSet()
        self.heads = 0  # the most of one name and shape
        self.carried_on = 0  # of those: that began where an earlier one began, or near what it had come to
        self._carried: dict[tuple[str, tuple[int, ...]], int] = {}
        self.optimizers = 0  # that stepped the head, one after the other or side by side

    def head(self, weight: Tensor, name: str) -> None:
        """Waits for the device where the weight is a new one beside others."""
        key = (name, tuple(weight.shape))
        ids = self._heads.setdefault(key, set())
        if id(weight) not in ids and len(self._kept) < 8:
            carried = self._carried[key] = self._carried.get(key, 0) + self._carries_on(weight)
            self._kept.append(weight)
            self._starts.append(_sample(weight).clone())
            ids.add(id(weight))
            if len(ids) >= self.heads:
                self.heads, self.carried_on = len(ids), carried

    def _carries_on(self, weight: Tensor) -> bool:
        """Copies of one model, trained one after the other and averaged, lose nothing: as in federated rounds."""
        alike = [at for at, kept in enumerate(self._kept) if kept.shape == weight.shape]
        if not alike:
            return False
        now = _sample(weight)
        came_to = torch.stack([_sample(self._kept[at]).to(now.device) for at in alike])
        began = torch.stack([self._starts[at].to(now.device) for at in alike])
        near = torch.cosine_similarity(came_to, now[None], dim=1) > CARRIED
        return bool((near | (began == now).all(1)).any())

    def stepped(self, optimizer: Optimizer) -> None:
        if optimizer not in self._optimizers:
            self._optimizers.add(optimizer)
            self.optimizers += 1


def _sample(weight: Tensor) -> Tensor:
    return weight.detach().flatten()[:SAMPLE].float()
