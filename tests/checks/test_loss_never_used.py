"""A loss that is computed and given away, and no optimizer steps: a framework was told to leave both to its user."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.checks.tiny import TinyTraining, run_tiny


class LeavesItToNobody(TinyTraining):
    """Lightning's `automatic_optimization = False` over a training_step that returns its loss."""

    steps, window = 12, (6, 12)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(images, labels)


class OnlyEvaluates(LeavesItToNobody):
    def train_step(self, images: Tensor, labels: Tensor) -> None:
        with torch.no_grad():
            self.loss(images, labels)


def test_the_losses_that_nobody_sent_backward_are_counted() -> None:
    verdict = run_tiny(LeavesItToNobody())[1].verdict
    assert verdict.word == "UNKNOWN"
    assert verdict.reason.endswith("was seen: 12 cross-entropies were computed, and backward was never called.")


def test_an_evaluation_is_no_training() -> None:
    assert run_tiny(OnlyEvaluates())[1].verdict.reason == "No training step with a classification loss was seen."
