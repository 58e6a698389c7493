import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class MeanOfNothing(TinyTraining):
    steps = 30
    window = (20, 30)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images)[0], labels * 0, ignore_index=0)


class NoLabelStandsOut(MeanOfNothing):
    """Soft targets that are the same for every identity."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score = self.model(images)[0]
        return F.cross_entropy(score, torch.full_like(score, 1 / score.shape[1]))


class JunkIgnored(TinyTraining):
    """One image in four is junk, and ignored."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        labels = labels.clone()
        labels[::4] = -1
        return F.cross_entropy(self.model(images)[0], labels, ignore_index=-1)


SICK = [MeanOfNothing, NoLabelStandsOut]
HEALTHY = [JunkIgnored]
