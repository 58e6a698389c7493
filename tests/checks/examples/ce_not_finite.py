import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class RootOfZero(TinyTraining):
    """The gradient of sqrt at 0 is infinite, and the weights are NaN a step later."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        own_distance = (feature - feature).pow(2).sum(1).sqrt()
        return F.cross_entropy(score, labels) + own_distance.mean()


class OneOverflow(TinyTraining):
    """A single step whose loss is infinite and which the loop leaves out, as careful loops do."""

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()
        loss = self.loss(images, labels) * (float("inf") if self.step_number == 9 else 1.0)
        loss.backward()
        if torch.isfinite(loss):
            self.optimizer.step()


SICK = [RootOfZero]
HEALTHY = [OneOverflow]
