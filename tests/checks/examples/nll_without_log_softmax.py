import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class OnLogits(TinyTraining):
    steps = 20
    window = (10, 20)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.nll_loss(self.model(images)[0], labels)


class OnProbabilities(OnLogits):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.nll_loss(self.model(images)[0].softmax(1), labels)


class OnTheLogOfLogits(OnLogits):
    """As skorch's classifier does it, around a module that ends without a softmax: NaN from the first step on."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.nll_loss((self.model(images)[0] + 1e-8).log(), labels)


class OnLogProbabilities(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.nll_loss(self.model(images)[0].log_softmax(1), labels)


class OfASoftmaxWithAMask(TinyTraining):
    """As hybrid memories have it: classes without anybody in them are left out, and a little keeps it from log 0."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        logits = self.model(images)[0]
        mask = torch.ones_like(logits)
        there = logits.exp() * mask.clone()
        return F.nll_loss((there / (there.sum(1, keepdim=True) + 1e-6) + 1e-6).log(), labels)


SICK = [OnLogits, OnProbabilities, OnTheLogOfLogits]
HEALTHY = [OnLogProbabilities, OfASoftmaxWithAMask]
