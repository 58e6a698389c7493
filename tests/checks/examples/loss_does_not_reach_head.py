import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.examples.triplets_without_positives import batch_hard
from tests.checks.tiny import Model, TinyTraining


def centres(features: Tensor, labels: Tensor) -> Tensor:
    """Pull images of one identity together: a metric loss without parameters."""
    same = labels[:, None] == labels[None, :]
    return (1 - F.cosine_similarity(features[:, None], features[None], dim=-1))[same].mean()


class DetachedLogits(TinyTraining):
    steps = 40
    window = (20, 40)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        return F.cross_entropy(score.detach(), labels) + centres(feature, labels)


class LeftOutOfTheSum(TinyTraining):
    steps = 40
    window = (20, 40)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        loss = centres(feature, labels)
        F.cross_entropy(score, labels)
        return loss


class DetachedAndByHand(DetachedLogits):
    """Smoothed by hand, which no door of torch's tells of."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        targets = 0.9 * F.one_hot(labels, self.identities) + 0.1 / self.identities
        smoothed = (-targets * score.detach().log_softmax(1)).mean(0).sum()
        return smoothed + batch_hard(feature, labels)


class OfItsTeacher(TinyTraining):
    """CE is given the scores of a teacher; nothing is called a head, a classifier or the like."""

    steps = 40
    window = (20, 40)

    def make_model(self) -> nn.Module:
        model = Model(self.identities)
        model.last = model.classifier
        del model.classifier
        return model

    def after_building(self) -> None:
        self.teacher = copy.deepcopy(self.model)

    def head_parameters(self) -> list[nn.Parameter]:
        return list(self.model.last.parameters())

    def other_parameters(self) -> list[nn.Parameter]:
        return [p for n, p in self.model.named_parameters() if "last" not in n]

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            score = self.teacher.last(self.teacher.neck(self.teacher.base(images)))
        return F.cross_entropy(score, labels) + centres(self.model.base(images), labels)


class CEAndMetricLoss(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        return F.cross_entropy(score, labels) + centres(feature, labels)


SICK = [DetachedLogits, DetachedAndByHand, LeftOutOfTheSum, OfItsTeacher]
HEALTHY = [CEAndMetricLoss]
