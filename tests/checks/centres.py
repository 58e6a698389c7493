"""The tiny training with a criterion that has parameters: centres, in an optimizer of their own (strong-baseline)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class CenterLoss(nn.Module):
    def __init__(self, identities: int, width: int = 512) -> None:
        super().__init__()
        self.centers = nn.Parameter(torch.randn(identities, width))

    def forward(self, feature: Tensor, labels: Tensor) -> Tensor:
        return (feature - self.centers[labels]).pow(2).sum(1).mean()


class WithCentres(TinyTraining):
    weight = 5e-4

    def after_building(self) -> None:
        self.center = CenterLoss(self.identities)
        self.optimizer_center = torch.optim.SGD(self.center.parameters(), lr=0.5)

    def feature(self, images: Tensor) -> Tensor:
        feature: Tensor = self.model.base(images)
        return feature

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.feature(images)
        score = self.model.classifier(self.model.neck(feature))
        return F.cross_entropy(score, labels) + self.weight * self.center(feature, labels)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()
        self.optimizer_center.zero_grad()
        self.loss(images, labels).backward()
        self.step_model()
        for parameter in self.center.parameters():
            parameter.grad *= 1 / self.weight
        self.optimizer_center.step()

    def step_model(self) -> None:
        self.optimizer.step()
