import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.centres import WithCentres
from tests.checks.tiny import Model, TinyTraining


class GradientReturnedAsZero(TinyTraining):
    """A hook that was to scale the gradient returns zeros."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.base(images)
        feature.register_hook(lambda gradient: gradient * 0)
        return F.cross_entropy(self.model.classifier(self.model.neck(feature)), labels)


class ZeroBesideCentres(WithCentres):
    def feature(self, images: Tensor) -> Tensor:
        feature = super().feature(images)
        feature.register_hook(lambda gradient: gradient * 0)
        return feature


class HeadOfZeros(TinyTraining):
    """With a head of zeros no gradient comes down in the first step, and only then."""

    def make_model(self) -> Model:
        model = Model(self.identities)
        torch.nn.init.zeros_(model.classifier.weight)
        return model


SICK = [GradientReturnedAsZero, ZeroBesideCentres]
HEALTHY = [HeadOfZeros]
