import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.examples.labels_unrelated_to_images import Dressed
from tests.checks.tiny import TinyTraining


class ViewForTranspose(TinyTraining):
    batch_size = 32

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.base(images)  # (B, D)
        feature = feature.t().reshape(feature.shape)
        return F.cross_entropy(self.model.classifier(self.model.neck(feature)), labels)


class ShuffledAndNotPutBack(TinyTraining):
    batch_size = 32

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.base(images)
        feature = feature[torch.randperm(len(feature))]
        return F.cross_entropy(self.model.classifier(self.model.neck(feature)), labels)


class ScoresViewedForTransposed(Dressed):
    """Features are as they should be; (C, B) becomes (B, C) by its shape alone."""

    batch_size = 32

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, _ = self.model(images)
        return F.cross_entropy(score.t().reshape(score.shape), labels)


class ScoresTransposedTwice(ScoresViewedForTransposed):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, _ = self.model(images)
        return F.cross_entropy(score.t().contiguous().t(), labels)


class ShuffledAndPutBack(TinyTraining):
    batch_size = 32

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images.flip(0))[0].flip(0), labels)


SICK = [ViewForTranspose, ShuffledAndNotPutBack, ScoresViewedForTransposed]
HEALTHY = [ShuffledAndPutBack, ScoresTransposedTwice]
