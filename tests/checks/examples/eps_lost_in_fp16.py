import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import Model, TinyTraining


class HalfHead(TinyTraining):
    """fp16 weights without a scaler."""

    eps = 1e-8
    steps = 40
    window = (20, 40)

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.classifier.half()
        return model

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.parameters(), lr=1e-3, eps=self.eps)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.neck(self.model.base(images))
        return F.cross_entropy(self.model.classifier(feature.half()).float(), labels)


class RaisedEps(HalfHead):
    """As IRRA has it."""

    eps = 1e-3
    steps = 100
    window = (60, 100)


SICK = [HalfHead]
HEALTHY = [RaisedEps]
