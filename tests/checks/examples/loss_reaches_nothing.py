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


class ValidatedUnderNoGrad(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            super().loss(images, labels)
        return super().loss(images, labels)


SICK = [UnderNoGrad, OnlyTheFrozenPart]
HEALTHY = [ValidatedUnderNoGrad]
