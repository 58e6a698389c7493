"""Which way the head goes: its gradient, and its update, beside what CE itself asks of it."""

from __future__ import annotations

import torch
from torch import Tensor

from reid_smoke.probes.batch import Batch

LOOKS = 3  # updates of the head that are looked at
MOST = 40  # batches without an update of an optimizer that are looked at for one by hand


class Uphill:
    """Of the first updates of one head."""

    def __init__(self) -> None:
        self._looks = 0
        self._by_hand = 0
        self._asked: Tensor | None = None
        self._rows: Tensor | None = None  # as they were when backward began

    @property
    def wants_more(self) -> bool:
        return self._looks < LOOKS

    def asks(self, batch: Batch, feature: Tensor | None, rows: Tensor, scale: float | None) -> None:
        """What CE asks of the first rows of the head (C, D): its gradient there, (softmax - one-hot)^T feature.

        feature (B, D), or None where backward does not keep it; rows (R, D), R <= C; scale: of the logits.
        """
        self._asked = self._rows = None
        if feature is None or feature.dim() != 2 or rows.dim() != 2 or feature.shape[1] != rows.shape[1]:
            return
        if feature.shape[0] != batch.labels.shape[0]:
            return
        wrong = batch.wrong[:, : rows.shape[0]]
        self._asked = wrong.T @ feature.detach().float() * (-1.0 if scale is not None and scale < 0 else 1.0)
        self._rows = rows.to(torch.float32, copy=True) if self._by_hand < MOST else None

    def forget(self) -> None:
        """What was asked last says nothing of the update that comes."""
        self._asked = None

    def by_hand(self, rows: Tensor) -> Tensor | None:
        """As `update`, of what changed the rows (R, D) since backward began without an optimizer; NaN: nothing did."""
        before, self._rows = self._rows, None
        if before is None or before.shape != rows.shape or before.device != rows.device:
            return None
        self._by_hand += 1
        change = rows.detach().float() - before
        cosine = _cosine(change, self._asked)
        return torch.where(change.abs().amax() > 0, cosine, torch.nan) if cosine is not None else None

    def gradient(self, rows: Tensor | None) -> Tensor | None:
        """Cosine between the gradient that the optimizer finds (R, D) and the one that CE asked for; None: unknown."""
        return _cosine(rows, self._asked)

    def update(self, change: Tensor) -> Tensor | None:
        """Cosine between what the optimizer added (R, D) and the gradient: below 0 where CE falls; None: unknown."""
        asked, self._asked = self._asked, None
        cosine = _cosine(change, asked)
        self._looks += cosine is not None
        return cosine


def _cosine(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None or one.shape != other.shape or one.device != other.device:
        return None
    return torch.cosine_similarity(one.detach().float().flatten(), other.flatten(), dim=0)
