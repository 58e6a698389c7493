from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import Crops, TinyTraining


class TemperatureTheWrongWay(TinyTraining):
    """`* 0.001` where `/ 0.001` was meant, give or take."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images)[0] * 0.001, labels)


class CosineWithoutScale(TinyTraining):
    scale = 1.0
    noise = 6.0

    def make_dataset(self) -> Crops:
        return Crops(self.identities, noise=self.noise)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = F.normalize(self.model.bottleneck(self.model.base(images)))
        return F.cross_entropy(self.scale * F.linear(feature, F.normalize(self.model.classifier.weight)), labels)


class Cosine(CosineWithoutScale):
    scale = 30.0
    noise = 1.5


SICK = [TemperatureTheWrongWay, CosineWithoutScale]
HEALTHY = [Cosine]
