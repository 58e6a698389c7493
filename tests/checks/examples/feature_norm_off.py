from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class ScaledBeforeTheNeck(TinyTraining):
    feat_norm = 8.0

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.bottleneck(8 * F.normalize(self.model.base(images)))
        return F.cross_entropy(self.model.classifier(feature), labels)


class ScaledAfterIt(TinyTraining):
    feat_norm = 8.0


SICK = [ScaledBeforeTheNeck]
HEALTHY = [ScaledAfterIt]
