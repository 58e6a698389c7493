import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.examples.soft_targets_repelled import Distilled


class OnLogits(Distilled):
    """CE cannot hold what grows with the logits themselves."""

    weight = 8.0

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, _ = self.model(images)
        of_teacher = F.kl_div(score, self.teacher(labels.flip(0)), reduction="batchmean")
        return F.cross_entropy(score, labels) + self.weight * of_teacher


class NothingButProbabilities(Distilled):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        probabilities = (self.model(images)[0] / 2).softmax(1)
        return F.kl_div(probabilities, self.teacher(labels), reduction="batchmean")


class OfLogsToo(OnLogits):
    """Both sides are logs."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, _ = self.model(images)
        of_teacher = F.kl_div(score, torch.log(self.teacher(labels.flip(0))), reduction="batchmean", log_target=True)
        return F.cross_entropy(score, labels) + self.weight * of_teacher


class Right(Distilled):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, _ = self.model(images)
        of_teacher = F.kl_div(score.log_softmax(1), self.teacher(labels).log(), reduction="batchmean", log_target=True)
        return F.cross_entropy(score, labels) + of_teacher


SICK = [OnLogits, NothingButProbabilities, OfLogsToo]
HEALTHY = [Right, Distilled]
