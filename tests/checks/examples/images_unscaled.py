from torch import Tensor

from tests.checks.tiny import Crops, TinyTraining


class Pixels(Crops):
    def __init__(self, identities: int, noise: float = 1.5) -> None:
        super().__init__(identities, noise=noise)
        self.images = (self.images * 30 + 128).clamp(0, 255).round()


class BatchNormBearsIt(TinyTraining):
    def make_dataset(self) -> Crops:
        return Pixels(self.identities)


class ScaledInTheModel(TinyTraining):
    """The model itself scales and normalises, before its first convolution."""

    def make_dataset(self) -> Crops:
        return Pixels(self.identities)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss((images - 128) / 30, labels)


SICK = [BatchNormBearsIt]
HEALTHY = [ScaledInTheModel]
