from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class SoftmaxTwice(TinyTraining):
    steps = 40
    window = (20, 40)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images)[0].softmax(1), labels)


class SigmoidBefore(TinyTraining):
    steps = 40
    window = (20, 40)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images)[0].sigmoid(), labels)


class LogSoftmaxTwice(TinyTraining):
    """The second changes nothing."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images)[0].log_softmax(1), labels)


class LogOfProbabilities(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.nll_loss(self.model(images)[0].softmax(1).clamp_min(1e-12).log(), labels)


SICK = [SoftmaxTwice, SigmoidBefore]
HEALTHY = [LogSoftmaxTwice, LogOfProbabilities]
