import torch
from torch import Tensor

from tests.checks.tiny import TinyTraining


class SecondHoldsEverything(TinyTraining):
    def make_optimizer(self) -> torch.optim.Optimizer:
        self.second = torch.optim.SGD(self.model.parameters(), lr=0.01)
        return super().make_optimizer()

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        super().train_step(images, labels)
        self.second.step()


class EarlierOneStillAlive(TinyTraining):
    """A first stage's optimizer that steps no more."""

    def make_optimizer(self) -> torch.optim.Optimizer:
        self.first_stage = torch.optim.SGD(self.model.parameters(), lr=0.01)
        return super().make_optimizer()


SICK = [SecondHoldsEverything]
HEALTHY = [EarlierOneStillAlive]
