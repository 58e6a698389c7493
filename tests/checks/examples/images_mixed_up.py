import torch
from torch import Tensor
from torch.nn import functional as F

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


class ShuffledAndPutBack(TinyTraining):
    batch_size = 32

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images.flip(0))[0].flip(0), labels)


SICK = [ViewForTranspose, ShuffledAndNotPutBack]
HEALTHY = [ShuffledAndPutBack]
