import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class Weighted(TinyTraining):
    smoothing = 0.0

    def after_building(self) -> None:
        self.weight = self.class_weights(torch.arange(self.identities).float())

    def class_weights(self, identity: Tensor) -> Tensor:
        return torch.ones_like(identity)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images)[0], labels, self.weight, label_smoothing=self.smoothing)


class IntegerDivision(Weighted):
    """`least // count`: 0 for all who have more images than the least."""

    def class_weights(self, identity: Tensor) -> Tensor:
        return (identity < 2).float()


class CountOfZero(Weighted):
    """Inverse frequencies, one of somebody without images in this list."""

    smoothing = 0.1

    def class_weights(self, identity: Tensor) -> Tensor:
        return 1 / (8.0 * (identity > 0))


class SomeLeftOut(Weighted):
    """Two identities that stand for the background, say."""

    def class_weights(self, identity: Tensor) -> Tensor:
        return (identity > 1).float()


class OneToHundred(Weighted):
    def class_weights(self, identity: Tensor) -> Tensor:
        return 10 ** (identity % 3 - 1)


SICK = [IntegerDivision, CountOfZero]
HEALTHY = [SomeLeftOut, OneToHundred]
