import torch
from torch import Tensor, nn

from tests.checks.tiny import Crops, Model, TinyTraining


class OfZeroToOne(Crops):
    def __init__(self, identities: int) -> None:
        super().__init__(identities, noise=0.5)
        self.images = (self.images * 0.2 + 0.5).clamp(0, 1)


class WithBiasesAndNoNorm(Model):
    def __init__(self, identities: int) -> None:
        super().__init__(identities)
        self.base.bn1 = self.base.bn2 = nn.Identity()
        self.base.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.bottleneck = nn.LayerNorm(512)


class NormalisedForPixels(TinyTraining):
    """Images of 0 to 1; the mean and the spread are those of 0 to 255. Half of them have a patch erased."""

    mean, spread = 116.0, 57.0
    erased_with = 0.0

    def make_dataset(self) -> Crops:
        return OfZeroToOne(self.identities)

    def make_model(self) -> nn.Module:
        return WithBiasesAndNoNorm(self.identities)

    def erased_share(self) -> float:
        return 0.5

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        images = (images - self.mean) / self.spread
        images[torch.rand(len(images)) < self.erased_share(), :, 2:5, 2:5] = self.erased_with
        return super().loss(images, labels)


class DividedOnceMore(NormalisedForPixels):
    mean, spread = 0.0, 255.0


class ErasedWithThePixelsMean(NormalisedForPixels):
    """The same config gives the erased patch its colour: what is there runs from -2 to 116."""

    erased_with = 116.0


class ErasedAllOverOnce(ErasedWithThePixelsMean):
    """As it comes in small batches: in one of those that are looked at nearly every image has its patch."""

    def erased_share(self) -> float:
        return 1.0 if self.step_number == 20 else 0.5


class Dull(TinyTraining):
    """A thermal camera's: an eighth of the contrast that others have, and not normalised."""

    mean, spread = -3.5, 8.0

    def make_dataset(self) -> Crops:
        return OfZeroToOne(self.identities)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss((images - self.mean) / self.spread, labels)


SICK = [NormalisedForPixels, ErasedWithThePixelsMean, ErasedAllOverOnce, DividedOnceMore]
HEALTHY = [Dull]
