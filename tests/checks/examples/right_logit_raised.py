import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class MarginOfTheWrongSign(TinyTraining):
    """So much that nothing is left to be learnt."""

    margin = -1.5

    def logits(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = F.normalize(self.model.bottleneck(self.model.base(images)))
        cosine = F.linear(feature, F.normalize(self.model.classifier.weight))
        return 30.0 * (cosine - self.margin * F.one_hot(labels, self.identities))

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.logits(images, labels), labels)


class MarginOfTheWrongSignBesideSmoothing(MarginOfTheWrongSign):
    """Smoothed targets ask the right logit to come down again: the head goes uphill."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.logits(images, labels), labels, label_smoothing=0.1)


class TheLabelComesOutAgain(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score = self.model(images)[0]
        known = torch.zeros_like(score).scatter_(1, labels[:, None], 40.0)
        return F.cross_entropy(score + known, labels)


class BesideAnotherLoss(TheLabelComesOutAgain):
    """CE has no gradient left, so that the other loss has all of it."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = F.normalize(self.model(images)[1])
        pairs = (feature[:, None] - feature[None]).square().sum(2)  # (B, B)
        same = labels[:, None] == labels[None]
        hardest = (pairs * same).amax(1) - (pairs + 1e5 * same).amin(1)
        return super().loss(images, labels) + F.relu(hardest + 0.3).mean()


class Margin(MarginOfTheWrongSign):
    margin = 0.2


SICK = [MarginOfTheWrongSign, MarginOfTheWrongSignBesideSmoothing, TheLabelComesOutAgain, BesideAnotherLoss]
HEALTHY = [Margin]
