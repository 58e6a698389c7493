from torch import Tensor

from tests.checks.tiny import Crops, TinyTraining


class Pixels(Crops):
    def __init__(self, identities: int, noise: float = 1.5) -> None:
        super().__init__(identities, noise=noise)
        self.images = (self.images * 30 + 128).clamp(0, 255).round()


class BatchNormBearsIt(TinyTraining):
    def make_dataset(self) -> Crops:
        return Pixels(self.identities)


class NormalisedForImagesOfOne(BatchNormBearsIt):
    """0 to 255, and the mean and the spread are ImageNet's for 0 to 1."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss((images - 0.45) / 0.225, labels)


class OnlyTheMeanIsTakenAway(BatchNormBearsIt):
    """As Caffe's weights want it."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(images - 116, labels)


class ScaledInTheModel(TinyTraining):
    """The model itself scales and normalises, before its first convolution."""

    def make_dataset(self) -> Crops:
        return Pixels(self.identities)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss((images - 128) / 30, labels)


class ErasedWithAPixelsGrey(TinyTraining):
    """Images are normalised, and a patch of some is filled with a mean of 0 to 255: not the images are unscaled."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        images = images.clamp(-1, 3)
        images[::3, :, 2:4, 2:4] = 40
        return super().loss(images, labels)


SICK = [BatchNormBearsIt, NormalisedForImagesOfOne]
HEALTHY = [ScaledInTheModel, OnlyTheMeanIsTakenAway, ErasedWithAPixelsGrey]
