import torch
from torch import Tensor

from tests.checks.tiny import Crops, Model, TinyTraining


class Smooth(Crops):
    """People in colours of their own, one to a row, as photographs have them: neighbours are alike."""

    def __init__(self, identities: int = 24, images: int = 8) -> None:
        super().__init__(identities, images)
        generator = torch.Generator().manual_seed(3)
        people = torch.randn(identities, 3, 16, 1, generator=generator)
        self.images = people[self.labels] + 0.3 * torch.randn(len(self.labels), 3, 16, 16, generator=generator)


class Photographs(TinyTraining):
    def make_dataset(self) -> Crops:
        return Smooth(self.identities)

    def make_model(self) -> Model:
        return Model(self.identities, width=2048)


class FarTooStrong(Photographs):
    """Noise for images of 0 to 255, added to normalised ones."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(images + 25 * torch.randn_like(images), labels)


class NeverWritten(Photographs):
    """A buffer that nothing was copied into."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(torch.randn_like(images), labels)


class ALittle(Photographs):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(images + 0.1 * torch.randn_like(images), labels)


SICK = [FarTooStrong, NeverWritten]
HEALTHY = [ALittle, Photographs]
