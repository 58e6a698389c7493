import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class WithSGD(TinyTraining):
    lr_head, lr_backbone = 0.1, 0.01

    def make_optimizer(self) -> torch.optim.Optimizer:
        groups = [
            {"params": self.head_parameters(), "lr": self.lr_head},
            {"params": self.other_parameters(), "lr": self.lr_backbone},
        ]
        return torch.optim.SGD(groups, momentum=0.9, weight_decay=5e-4)


class MeanTakenTwice(WithSGD):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(images, labels) / len(labels) / 100


class SummedWithItsValue(WithSGD):
    """Of six losses one goes backward, and that with a small weight."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        ce = super().loss(images, labels)
        return sum((ce.detach() for _ in range(5)), 1e-3 * ce)


class SmoothedByHand(MeanTakenTwice):
    """The mean of (B, C) instead of a sum over C and a mean over B, and that divided by the batch again."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        targets = 0.9 * F.one_hot(labels, self.identities) + 0.1 / self.identities
        return (-targets * self.model(images)[0].log_softmax(1)).mean() / len(labels) / 4


class DividedButAdamForgives(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(images, labels) / 100


SICK = [MeanTakenTwice, SummedWithItsValue, SmoothedByHand]
HEALTHY = [WithSGD, DividedButAdamForgives]
