import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class AlongTheSamples(TinyTraining):
    steps = 20
    window = (10, 20)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.nll_loss(self.model(images)[0].log_softmax(0), labels)


class ByHandAlongTheSamples(AlongTheSamples):
    """A softmax put together from exponentials and their sum, as a memory writes it that leaves empty classes out."""

    along = 0

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        there = self.model(images)[0].exp() * torch.ones(self.identities)
        return F.nll_loss((there / (there.sum(self.along, keepdim=True) + 1e-6) + 1e-6).log(), labels)


class ByHandAlongTheClasses(ByHandAlongTheSamples):
    steps, window = 45, (30, 45)
    along = -1


class CountedFromTheEnd(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.nll_loss(self.model(images)[0].log_softmax(-1), labels)


SICK = [AlongTheSamples, ByHandAlongTheSamples]
HEALTHY = [ByHandAlongTheClasses, CountedFromTheEnd]
