from torch import Tensor
from torch.nn import functional as F

from tests.checks.examples.loss_does_not_reach_head import centres
from tests.checks.tiny import TinyTraining


class WeightOfZero(TinyTraining):
    steps = 60
    window = (30, 60)

    def weight(self) -> float:
        return 0.0

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        return self.weight() * F.cross_entropy(score, labels) + 0.1 * centres(feature, labels)


class SmoothedAway(TinyTraining):
    """A smoothing of 1: what was meant was the share of the label."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images)[0], labels, label_smoothing=1.0)


class MixupWithoutItsWeight(TinyTraining):
    """Mixup that is switched off gives all of its weight to one of its two labels."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, share = self.model(images)[0], 0.0
        others = F.cross_entropy(score, labels)
        return share * F.cross_entropy(score, labels.flip(0)) + (1 - share) * others


class RisesFromZero(WeightOfZero):
    """A warm-up of the loss, as layumi's, and not of the learning rate."""

    steps = 100
    window = (60, 100)

    def weight(self) -> float:
        return min(1.0, (self.step_number - 1) / 20)


SICK = [WeightOfZero, SmoothedAway]
HEALTHY = [RisesFromZero, MixupWithoutItsWeight]
