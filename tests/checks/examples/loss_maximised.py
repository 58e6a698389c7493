import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class ExtraMinus(TinyTraining):
    steps = 40
    window = (20, 40)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return -F.cross_entropy(self.model(images)[0], labels)


class TwoMinusesByHand(ExtraMinus):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        picked = -self.model(images)[0].log_softmax(1).gather(1, labels[:, None])
        return -picked.mean()


class SmoothedWithPlus(ExtraMinus):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        targets = F.one_hot(labels, self.identities) * 0.9 + 0.1 / self.identities
        return (targets * self.model(images)[0].log_softmax(1)).mean(0).sum()


class AnOptionOfTheOptimizer(TinyTraining):
    steps = 40
    window = (20, 40)

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.02, maximize=True)


class RewardMaximised(AnOptionOfTheOptimizer):
    """Twice turned is not turned: -CE is the reward."""

    steps = 100
    window = (60, 100)

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9, maximize=True)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return -F.cross_entropy(self.model(images)[0], labels)


class OneMinusByHand(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        targets = F.one_hot(labels, self.identities) * 0.9 + 0.1 / self.identities
        return (-targets * self.model(images)[0].log_softmax(1)).mean(0).sum()


SICK = [ExtraMinus, TwoMinusesByHand, SmoothedWithPlus, AnOptionOfTheOptimizer]
HEALTHY = [OneMinusByHand, RewardMaximised]
