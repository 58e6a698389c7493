from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class PredictionForTarget(TinyTraining):
    steps, window = 40, (20, 40)
    lr_head = 1e-3

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, _ = self.model(images)
        return F.cross_entropy(score, score.argmax(1))


class PredictionForAccuracy(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, _ = self.model(images)
        self.accuracy = (score.argmax(1) == labels).float().mean()
        return F.cross_entropy(score, labels)


SICK = [PredictionForTarget]
HEALTHY = [PredictionForAccuracy]
