from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class AlongTheSamples(TinyTraining):
    steps = 20
    window = (10, 20)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.nll_loss(self.model(images)[0].log_softmax(0), labels)


class CountedFromTheEnd(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.nll_loss(self.model(images)[0].log_softmax(-1), labels)


SICK = [AlongTheSamples]
HEALTHY = [CountedFromTheEnd]
