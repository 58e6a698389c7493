"""A loop that takes its steps by itself, or by an optimizer of another kind than torch's: no hook tells of them."""

from __future__ import annotations

from torch import Tensor, nn

from tests.checks.tiny import TinyTraining


class SteppedByHand(TinyTraining):
    lr_by_hand = 1e-3

    def make_optimizer(self) -> None:
        return None

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.model.zero_grad()
        self.loss(images, labels).backward()
        self.clip()
        for parameter in self.stepped():
            if parameter.grad is not None:
                parameter.data.add_(self.direction(parameter.grad), alpha=-self.lr_by_hand)

    def stepped(self) -> list[nn.Parameter]:
        return list(self.model.parameters())

    def direction(self, gradient: Tensor) -> Tensor:
        return gradient


class SteppedBySigns(SteppedByHand):
    """Each element by the same length, as Adam's first steps are."""

    def direction(self, gradient: Tensor) -> Tensor:
        return gradient.sign()
