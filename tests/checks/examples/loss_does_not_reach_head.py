from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


def centres(features: Tensor, labels: Tensor) -> Tensor:
    """Pull images of one identity together: a metric loss without parameters."""
    same = labels[:, None] == labels[None, :]
    return (1 - F.cosine_similarity(features[:, None], features[None], dim=-1))[same].mean()


class DetachedLogits(TinyTraining):
    steps = 40
    window = (20, 40)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        return F.cross_entropy(score.detach(), labels) + centres(feature, labels)


class LeftOutOfTheSum(TinyTraining):
    steps = 40
    window = (20, 40)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        _, feature = self.model(images)
        return centres(feature, labels)


class CEAndMetricLoss(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        return F.cross_entropy(score, labels) + centres(feature, labels)


SICK = [DetachedLogits, LeftOutOfTheSum]
HEALTHY = [CEAndMetricLoss]
