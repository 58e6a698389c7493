import torch

from tests.checks.tiny import Crops, TinyTraining


class DividedTwice(TinyTraining):
    """Integer division makes zeros of all pixels; normalised, each channel has a value of its own."""

    steps = 40
    window = (20, 40)

    def make_dataset(self) -> Crops:
        crops = Crops(self.identities)
        crops.images = torch.zeros_like(crops.images) - torch.tensor([2.12, 2.04, 1.80])[:, None, None]
        return crops


class AFewBlanks(TinyTraining):
    """Some images of each person are blank."""

    def make_dataset(self) -> Crops:
        crops = Crops(self.identities, noise=0.5)
        crops.images[::8] = crops.labels[::8, None, None, None] / 24
        return crops


SICK = [DividedTwice]
HEALTHY = [AFewBlanks]
