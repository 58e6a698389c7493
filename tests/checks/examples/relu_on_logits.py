from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.tiny import Model, TinyTraining


class AfterTheLastLayer(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(F.relu(self.model(images)[0]), labels)


class BetweenTheLayers(TinyTraining):
    """A head of two layers has its activation inside."""

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.classifier = nn.Sequential(nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, self.identities))
        return model


SICK = [AfterTheLastLayer]
HEALTHY = [BetweenTheLayers]
