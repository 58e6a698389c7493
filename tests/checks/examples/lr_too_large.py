import torch
from torch.nn import functional as F

from tests.checks.tiny import Crops, Model, TinyTraining


class LostItsMinus(TinyTraining):
    """1e1 where 1e-1 was meant: far enough above what the head bears, whatever the rounding of a machine does."""

    lr_head = 10.0
    lr_backbone = 1.0


class NormOf31(TinyTraining):
    """A head's learning rate that a feature of norm 8 would bear, on a feature of norm 31 among many more people."""

    identities = 200
    steps, window = 60, (40, 60)
    lr_head = 0.3

    def make_dataset(self) -> Crops:
        return Crops(self.identities, noise=6.0)

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.neck = lambda feature: 31.0 * F.normalize(model.bottleneck(feature))
        return model


class SGD(TinyTraining):
    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)


SICK = [LostItsMinus, NormOf31]
HEALTHY = [SGD]
