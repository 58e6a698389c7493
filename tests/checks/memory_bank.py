"""The tiny training without a head that learns: the classes are centroids in a memory that follows the features, as
training on pseudo labels (Cluster Contrast) has it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.tiny import Backbone, TinyTraining


class Follow(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, labels: Tensor, memory: Tensor) -> Tensor:
        ctx.save_for_backward(features, labels)
        ctx.memory = memory
        return features @ memory.T  # (B, D) x (C, D) -> (B, C)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        features, labels = ctx.saved_tensors
        gradient = gradients[0] @ ctx.memory
        for feature, label in zip(features, labels, strict=True):
            ctx.memory[label] = F.normalize(0.2 * ctx.memory[label] + 0.8 * feature, dim=0)
        return gradient, None, None


class Embedding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.base = Backbone()
        self.neck = nn.BatchNorm1d(512)

    def forward(self, images: Tensor) -> Tensor:
        return F.normalize(self.neck(self.base(images)))


class MemoryBank(TinyTraining):
    steps, window = 90, (60, 90)
    lr_backbone = 3e-3

    def make_model(self) -> nn.Module:
        self.memory = F.normalize(torch.randn(self.identities, 512))
        return Embedding()

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.parameters(), lr=self.lr_backbone)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(Follow.apply(self.model(images), labels, self.memory) / 0.1, labels)
