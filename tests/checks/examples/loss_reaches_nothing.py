import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class UnderNoGrad(TinyTraining):
    """A block that was meant for validation has the training's forward in it, too."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            return super().loss(images, labels)


class OnlyTheFrozenPart(TinyTraining):
    """While the backbone is frozen the logits are detached as well."""

    frozen_from = 6

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        self.model.base.requires_grad_(self.step_number < self.frozen_from)
        self.model.bottleneck.weight.requires_grad_(self.step_number < self.frozen_from)
        score, _ = self.model(images)
        return F.cross_entropy(score.detach() if self.step_number >= self.frozen_from else score, labels)


class OfANumber(TinyTraining):
    """The loss was made into a number for the log, and back into a tensor."""

    steps = 40
    window = (20, 40)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()
        torch.tensor(self.loss(images, labels).item(), requires_grad=True).backward()
        self.optimizer.step()


class LogitsOfTheirOwn(TinyTraining):
    """Torch complained that they ask for no gradient, and so they were made to."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            score, _ = self.model(images)
        return F.cross_entropy(score.requires_grad_(), labels)


class ValidatedUnderNoGrad(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            super().loss(images, labels)
        return super().loss(images, labels)


SICK = [UnderNoGrad, OnlyTheFrozenPart, OfANumber, LogitsOfTheirOwn]
HEALTHY = [ValidatedUnderNoGrad]
