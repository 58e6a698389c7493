from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class OnLogits(TinyTraining):
    steps = 20
    window = (10, 20)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.nll_loss(self.model(images)[0], labels)


class OnProbabilities(OnLogits):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.nll_loss(self.model(images)[0].softmax(1), labels)


class OnLogProbabilities(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.nll_loss(self.model(images)[0].log_softmax(1), labels)


SICK = [OnLogits, OnProbabilities]
HEALTHY = [OnLogProbabilities]
