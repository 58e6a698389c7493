import torch
from torch import Tensor

from tests.checks.examples.labels_unrelated_to_images import Dressed


class ErasedWithAPixelsWhite(Dressed):
    """Images are normalised; the patch is given a white that belongs to 0 to 255."""

    value = 255.0

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        images = images.clone()
        for index in (torch.rand(len(images)) < 0.6).nonzero().flatten().tolist():
            row, column = torch.randint(0, 4, (2,)).tolist()
            images[index, :, row : row + 5, column : column + 5] = self.value
        return super().loss(images, labels)


class ErasedWithZero(ErasedWithAPixelsWhite):
    value = 0.0


SICK = [ErasedWithAPixelsWhite]
HEALTHY = [ErasedWithZero]
