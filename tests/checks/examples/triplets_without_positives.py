from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from tests.checks.examples.labels_shifted import SideBySide
from tests.checks.tiny import Crops, TinyTraining


def batch_hard(feature: Tensor, labels: Tensor, margin: float = 0.3) -> Tensor:
    distance = torch.cdist(feature, feature)
    same = labels[:, None] == labels[None]
    return F.relu((distance * same).amax(1) - (distance + 1e9 * same).amin(1) + margin).mean()


class AtRandom(TinyTraining):
    """Eight images of 24 people."""

    batch_size = 8
    steps = 90
    window = (60, 90)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        return F.cross_entropy(score, labels) + 0.1 * batch_hard(F.normalize(feature), labels)


class PK(AtRandom):
    def make_loader(self) -> DataLoader[tuple[Tensor, int]]:
        crops = Crops(self.identities)
        return DataLoader(crops, batch_sampler=SideBySide(crops.labels, people=4, images=2))


class DistancesOfATeacher(AtRandom):
    """Relations between images, whoever they show, as another model sees them."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        apart, wanted = torch.cdist(feature, feature), torch.cdist(images.flatten(1), images.flatten(1))
        apart, wanted = apart / apart.mean(), wanted / wanted.mean()
        return F.cross_entropy(score, labels) + 0.1 * F.smooth_l1_loss(apart, wanted)


SICK = [AtRandom]
HEALTHY = [PK, DistancesOfATeacher]
