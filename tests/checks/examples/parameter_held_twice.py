import warnings

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class BackboneInBoth(TinyTraining):
    """A second optimizer, meant for another loss, holds the backbone as well."""

    def make_optimizer(self) -> torch.optim.Optimizer:
        self.second = torch.optim.SGD(self.other_parameters(), lr=0.01)
        return super().make_optimizer()

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        super().train_step(images, labels)
        self.second.step()


class TwiceInOneList(TinyTraining):
    """The head is added to a list that has it already."""

    def make_optimizer(self) -> torch.optim.Optimizer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.optim.AdamW([*self.model.parameters(), *self.head_parameters()], lr=1e-3)


class EachWithItsOwnGradient(TinyTraining):
    """Two losses take turns, each with a backward and an optimizer of its own."""

    def make_optimizer(self) -> torch.optim.Optimizer:
        self.second = torch.optim.SGD(self.other_parameters(), lr=1e-3)
        return super().make_optimizer()

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        super().train_step(images, labels)
        self.second.zero_grad()
        self.model.base(images).pow(2).mean().mul(1e-3).backward()
        self.second.step()


class EachHoldsItsOwn(TinyTraining):
    """Two optimizers, and one backward for both."""

    def make_optimizer(self) -> torch.optim.Optimizer:
        self.second = torch.optim.SGD(self.head_parameters(), lr=0.5)
        return torch.optim.AdamW(self.other_parameters(), lr=1e-4)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        self.second.zero_grad()
        return F.cross_entropy(self.model(images)[0], labels)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        super().train_step(images, labels)
        self.second.step()


SICK = [BackboneInBoth, TwiceInOneList]
HEALTHY = [EachWithItsOwnGradient, EachHoldsItsOwn]
