import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import Crops, TinyTraining


class FiledTwice(TinyTraining):
    """Persons 0 to 3 were filed again as persons 20 to 23."""

    def make_dataset(self) -> Crops:
        crops = Crops(self.identities, images=4)
        crops.images[-16:] = crops.images[:16]
        return crops


class OnePictureForAll(TinyTraining):
    """A cache whose key lacks the index."""

    def make_dataset(self) -> Crops:
        crops = Crops(self.identities)
        crops.images[:] = crops.images[0].clone()
        return crops


class CropsOfOneBuffer(Crops):
    def __init__(self, identities: int) -> None:
        super().__init__(identities)
        self.buffer = torch.empty(3, 8, 8)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.buffer.copy_(self.images[index]), int(self.labels[index])


class AllReadIntoOneBuffer(TinyTraining):
    """Each batch shows its last image, as often as it has items."""

    def make_dataset(self) -> Crops:
        return CropsOfOneBuffer(self.identities)


class SamePictureSamePerson(TinyTraining):
    """Sampling with replacement: a person with too few images has one twice in the batch."""

    def make_dataset(self) -> Crops:
        crops = Crops(self.identities)
        crops.images[1::2] = crops.images[::2].clone()
        return crops


class MixedHalfAndHalf(TinyTraining):
    """Mixup of two images by halves gives the same picture twice, and each is both people's."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score = self.model((images + images.flip(0)) / 2)[0]
        return (F.cross_entropy(score, labels) + F.cross_entropy(score, labels.flip(0))) / 2


SICK = [FiledTwice, OnePictureForAll, AllReadIntoOneBuffer]
HEALTHY = [SamePictureSamePerson, MixedHalfAndHalf]
