import torch
from torch import Tensor

from tests.checks.tiny import Crops, Model, TinyTraining


class Pixels(Crops):
    def __init__(self, identities: int, noise: float = 1.5) -> None:
        super().__init__(identities, noise=noise)
        self.images = (self.images * 30 + 128).clamp(0, 255).round()


class BatchNormBearsIt(TinyTraining):
    def make_dataset(self) -> Crops:
        return Pixels(self.identities)


class PretrainedForOtherNumbers(TinyTraining):
    """Batch norms that keep to the statistics of weights trained on normalised images, and drown the differences."""

    def make_dataset(self) -> Crops:
        return Pixels(self.identities)

    def make_model(self) -> Model:
        model = Model(self.identities)
        # 16 channels that answer to brightness, as ReLUs far from where they bend.
        with torch.no_grad():
            model.base.conv1.weight.fill_(1.0)
        model.base.requires_grad_(True)
        return model

    def train(self) -> None:
        self.model.base.bn1.eval()
        self.model.base.bn2.eval()
        super().train()


class ScaledInTheModel(TinyTraining):
    """The model itself scales and normalises, before its first convolution."""

    def make_dataset(self) -> Crops:
        return Pixels(self.identities)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss((images - 128) / 30, labels)


SICK = [BatchNormBearsIt]
HEALTHY = [ScaledInTheModel]
