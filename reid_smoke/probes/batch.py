"""What one classification loss was given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

IGNORED = -100  # torch's own mark of a row that counts for nothing


@dataclass
class Batch:
    """What one classification loss was given. log_probs (B, C); targets (B,) int64, each a label or `ignored`.

    What else there is to know of it is computed by those who ask: a launch each, on a GPU.
    """

    log_probs: Tensor
    targets: Tensor
    ignored: int = IGNORED
    soft: bool = False  # the labels are the largest of soft targets
    mixed: Tensor | None = None  # (B,) bool, of soft targets: more than one label, as of mixup; smoothing has one
    largest: Tensor | None = None  # (B,), of soft targets: the share of the largest
    as_given: Tensor | None = None  # (B, C), where log_probs are at another scale than the loss's

    @cached_property
    def labels(self) -> Tensor:
        """(B,) int64, each within 0..C-1; of a row that is ignored any of them."""
        return self.targets.clamp(0, self.log_probs.shape[1] - 1)

    @cached_property
    def counted(self) -> Tensor:
        """(B,) bool: the row is not ignored."""
        return self.targets != self.ignored

    @cached_property
    def of_one_label(self) -> Tensor:
        """(B,) bool: the row counts, and its target is one-hot or smoothed: of mixed ones no single label tells."""
        return self.counted if self.mixed is None else self.counted & ~self.mixed

    @cached_property
    def wrong(self) -> Tensor:
        """(B, C), softmax less one-hot: what plain CE, summed, has for a gradient at the logits. 0 in rows that are not
        `of_one_label`; a smoothed target asks for nearly what its label does."""
        odds = self.log_probs.float().exp()
        wrong = odds.scatter_add(1, self.labels[:, None], -torch.ones_like(odds[:, :1]))
        return torch.where(self.of_one_label[:, None], wrong, 0.0)
