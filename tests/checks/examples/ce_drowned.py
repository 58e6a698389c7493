from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class SummedAndUnweighted(TinyTraining):
    """A loss on the feature's length, summed over the batch and without its small weight."""

    weight = 100.0
    lr_backbone = 1e-2

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        return F.cross_entropy(score, labels) + self.weight * feature.pow(2).sum()


class SmallWeight(SummedAndUnweighted):
    weight = 5e-7
    lr_backbone = 1e-4


SICK = [SummedAndUnweighted]
HEALTHY = [SmallWeight]
