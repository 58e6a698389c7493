"""How often each label came up, counted on the device."""

from __future__ import annotations

import torch
from torch import Tensor

from reid_smoke.facts import LabelFacts
from reid_smoke.probes.graph import Batch


class LabelCounts:
    """Counts of the labels that went through the loss."""

    def __init__(self) -> None:
        self._counts: Tensor | None = None  # (C,) int64
        self.draws = 0  # distinct labels, summed over batches

    def count(self, batch: Batch) -> None:
        """Nothing is fetched. A head of another width starts anew."""
        classes = batch.log_probs.shape[1]
        if self._counts is None or self._counts.shape[0] != classes:
            self._counts = torch.zeros(classes, dtype=torch.int64, device=batch.labels.device)
            self.draws = 0
        self._counts.index_add_(0, batch.labels, batch.counted.long())

    def facts(self, step: int) -> LabelFacts | None:
        """Fetches the counts; None before the first batch."""
        if self._counts is None:
            return None
        counts = self._counts.tolist()
        most = max(counts)
        never = [label for label, count in enumerate(counts) if not count]
        return LabelFacts(
            step=step,
            num_classes=len(counts),
            images=sum(counts),
            seen=len(counts) - len(never),
            draws=self.draws,
            unseen_examples=tuple(never[:8]),
            most_frequent=counts.index(most),
            most_frequent_images=most,
        )
