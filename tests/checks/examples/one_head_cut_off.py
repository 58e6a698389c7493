import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.tiny import Model, TinyTraining


class Towers(Model):
    def __init__(self, identities: int) -> None:
        super().__init__(identities)
        self.other = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, self.classifier.in_features))
        self.other_neck = nn.BatchNorm1d(self.classifier.in_features)

    def of_other(self, images: Tensor) -> Tensor:
        feature: Tensor = self.other(images)
        return feature


class TwoTowers(TinyTraining):
    """Two towers, and one classifier for both."""

    steps = 40
    window = (20, 40)
    model: Towers

    def make_model(self) -> Towers:
        return Towers(self.identities)

    def of_other(self, images: Tensor) -> Tensor:
        return self.model.of_other(images)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        model = self.model
        first = F.cross_entropy(model.classifier(model.neck(model.base(images))), labels)
        other = model.classifier(8.0 * F.normalize(model.other_neck(self.of_other(images))))
        return first + F.cross_entropy(other, labels)


class DetachedTower(TwoTowers):
    def of_other(self, images: Tensor) -> Tensor:
        return super().of_other(images).detach()


class TowerWithoutGrad(TwoTowers):
    def of_other(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return super().of_other(images)


class FrozenTower(TowerWithoutGrad):
    """requires_grad=False is intent."""

    def make_model(self) -> Towers:
        model = super().make_model()
        model.other.requires_grad_(False)
        return model


class FrozenTowerBesideACritic(FrozenTower):
    """Another model with an optimizer of its own lives in the same process, and this loss is no business of it."""

    def make_model(self) -> Towers:
        self.critic = nn.Linear(8, 1)
        self.critics_optimizer = torch.optim.SGD(self.critic.parameters(), lr=0.1)
        return super().make_model()


SICK = [DetachedTower, TowerWithoutGrad]
HEALTHY = [TwoTowers, FrozenTower, FrozenTowerBesideACritic]
