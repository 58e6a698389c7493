"""The labels: how often each came up, counted on the device, and what a GPU's loss was given just before it died."""

from __future__ import annotations

from collections import Counter, deque

import torch
from torch import Tensor

from reid_smoke.facts import LabelFacts
from reid_smoke.probes.cross_entropy import Batch


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
            histogram=tuple(sorted(Counter(counts).items())),
        )


class LabelsBeforeLoss:
    """The range of the labels of the last losses on a GPU, brought to the host before the loss looks at them.

    A label out of range is a device-side assertion there, after which the GPU answers nothing any more. But what went
    before the loss in the same stream has arrived: the range lies in the host's memory when the error is raised.
    """

    LOSSES = 16  # the error is raised some launches after the loss that it belongs to

    def __init__(self) -> None:
        self._ranges: deque[tuple[Tensor, int]] = deque(maxlen=self.LOSSES)

    def note(self, logits: Tensor, labels: Tensor, ignore_index: int) -> None:
        """logits (B, C, ...) and labels (B, ...) int64 on a GPU. Nothing waits for it."""
        if labels.is_floating_point() or not labels.numel() or torch.cuda.is_current_stream_capturing():
            return
        if len(self._ranges) == self.LOSSES:
            host, _ = self._ranges.popleft()
        else:
            host = torch.zeros(2, dtype=torch.int64, pin_memory=True)
        counted = torch.where(labels == ignore_index, 0, labels).long()
        host.copy_(torch.stack(torch.aminmax(counted)), non_blocking=True)
        self._ranges.append((host, logits.shape[1] if logits.dim() > 1 else logits.shape[0]))

    def bad(self) -> tuple[tuple[int, ...], int | None]:
        """The least and the largest label of the latest loss that had one outside 0..C-1, where they are, and C."""
        for host, classes in reversed(self._ranges):
            wrong = tuple(label for label in sorted(set(host.tolist())) if not 0 <= label < classes)
            if wrong:
                return wrong, classes
        return (), None
