from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.tiny import Model, TinyTraining


class KeepProbability(TinyTraining):
    p = 1.0

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.classifier = nn.Sequential(nn.Dropout(self.p), model.classifier)
        return model


class Half(KeepProbability):
    p = 0.5


class NoModule(TinyTraining):
    """`F.dropout` within the forward: no module tells of it."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = F.dropout(self.model.neck(self.model.base(images)), 1.0)
        return F.cross_entropy(self.model.classifier(feature), labels)


SICK = [KeepProbability, NoModule]
HEALTHY = [Half]
