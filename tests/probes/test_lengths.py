"""Cosines that get their lengths back, as in SphereFace: what multiplies them is known, and a margin is taken out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from reid_smoke.probes.classifier import lengths_of_logits, steps_to_lengths
from reid_smoke.probes.graph import batch_of, walk
from reid_smoke.probes.judged import product_of
from reid_smoke.probes.log_softmax import log_softmax_of
from reid_smoke.probes.margin import margin_of, without_margin
from reid_smoke.probes.nodes import follow

LABELS = torch.tensor([1, 9, 3, 0])
RIGHT = F.one_hot(LABELS, 10).float()


class Head:
    def __init__(self) -> None:
        torch.manual_seed(0)
        self.weight = torch.randn(10, 6, requires_grad=True)
        self.feature = (3 * torch.randn(4, 6)).requires_grad_()
        self.cosines = F.linear(F.normalize(self.feature), F.normalize(self.weight))
        self.of_rows, self.of_classes = self.feature.norm(dim=1)[:, None], self.weight.norm(dim=1)[None]

    def read(self, logits: Tensor) -> tuple[tuple[int, ...], Tensor]:
        """Where the lengths stand, and CE's logits without the margin."""
        root = F.cross_entropy(logits, LABELS).grad_fn
        (found,) = walk(root).classifications
        consumer, batch = follow(root, found.path), batch_of(root, found)
        log_softmax, product = log_softmax_of(consumer), product_of(consumer, found)
        assert batch is not None
        assert product is not None
        steps = steps_to_lengths(log_softmax, found.product_path)
        lengths = lengths_of_logits(log_softmax, found.product_path, steps)
        if margin_of(batch, product, 1.0, lengths):
            batch = without_margin(batch, product, 1.0, lengths)
        return steps, batch.log_probs


@pytest.mark.parametrize("of_classes", [False, True], ids=["SphereFace", "large margin softmax"])
def test_a_margin_before_the_lengths_is_taken_out(of_classes: bool) -> None:
    head = Head()
    lengths = head.of_rows * head.of_classes if of_classes else head.of_rows
    steps, log_probs = head.read((head.cosines - 2.0 * RIGHT) * lengths)
    assert len(steps) == 1
    assert log_probs.numpy() == pytest.approx((head.cosines * lengths).log_softmax(1).detach().numpy(), abs=1e-4)


def test_a_margin_that_is_multiplied_is_no_length() -> None:
    head = Head()
    logits = head.cosines * (1 - 0.35 * RIGHT) * 10.0
    assert head.read(logits)[0] == ()


def test_neither_is_a_mask() -> None:
    head = Head()
    assert head.read(head.cosines + head.cosines * RIGHT)[0] == ()
