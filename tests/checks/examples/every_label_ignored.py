from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class MeanOfNothing(TinyTraining):
    steps = 30
    window = (20, 30)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images)[0], labels * 0, ignore_index=0)


class JunkIgnored(TinyTraining):
    """One image in four is junk, and ignored."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        labels = labels.clone()
        labels[::4] = -1
        return F.cross_entropy(self.model(images)[0], labels, ignore_index=-1)


SICK = [MeanOfNothing]
HEALTHY = [JunkIgnored]
