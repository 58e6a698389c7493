import torch
from torch import Tensor

from tests.checks.tiny import TinyTraining


class ReturnedByAdjustLearningRate(TinyTraining):
    """Plain SGD of 1e-3 with momentum, which never gathers any."""

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer = self.make_optimizer()
        super().train_step(images, labels)


class NewForTheSecondStage(TinyTraining):
    def after_epoch(self) -> None:
        if not hasattr(self, "second"):
            self.second = self.optimizer = self.make_optimizer()


SICK = [ReturnedByAdjustLearningRate]
HEALTHY = [NewForTheSecondStage]
