import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import Crops, TinyTraining


class Kept(Crops):
    """Images in memory, as a data set that reads them once has them."""

    mean, std = 0.0, 4.0

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = super().__getitem__(index)
        return image.sub_(self.mean).div_(self.std), label


class NormalisedInPlace(TinyTraining):
    def make_dataset(self) -> Crops:
        return Kept(self.identities)


class CentredInPlace(TinyTraining):
    """Only the mean is taken away, again and again."""

    def make_dataset(self) -> Crops:
        kept = Kept(self.identities)
        kept.mean, kept.std = 4.0, 1.0
        return kept


class AugmentedLater(TinyTraining):
    """Erasing, jitter and blur from the second epoch on."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        if self.step_number > 12:
            images = F.avg_pool2d(images * (0.7 + 0.6 * torch.rand(len(images), 1, 1, 1)), 3, 1, 1) + 0.2
            images[:, :, :2] = 0.0
        return super().loss(images, labels)


class TwoSources(TinyTraining):
    """Every other image comes from a camera of a third of the contrast."""

    def make_dataset(self) -> Crops:
        crops = Crops(self.identities)
        crops.images[::2] = crops.images[::2] / 3 + 0.5
        return crops


SICK = [NormalisedInPlace, CentredInPlace]
HEALTHY = [AugmentedLater, TwoSources]
