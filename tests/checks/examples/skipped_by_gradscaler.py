import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class Scaled(TinyTraining):
    """fp16 as everybody writes it: the scaler skips a few steps until it has found its scale."""

    start = 2.0**16

    def after_building(self) -> None:
        self.scaler = torch.amp.GradScaler("cpu", init_scale=self.start)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.float16):
            return super().loss(images, labels)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()
        self.scaler.scale(self.loss(images, labels)).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()


class SkipsAtFirst(Scaled):
    start = 2.0**24


class Fused:
    """It is stepped every time, and leaves out by itself what GradScaler finds infinite."""

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.parameters(), lr=1e-3, fused=True)


class FusedSkipsAtFirst(Fused, SkipsAtFirst):
    pass


class InfiniteGradient(Scaled):
    """sqrt of a distance that is 0: its gradient is infinite at every scale."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        return F.cross_entropy(score, labels) + (feature - feature).pow(2).sum(1).sqrt().mean()


class FusedInfiniteGradient(Fused, InfiniteGradient):
    pass


class AccumulatedBy(Scaled):
    """Each skip takes several batches."""

    every = 4

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.scaler.scale(self.loss(images, labels) / self.every).backward()
        if self.step_number % self.every == 0:
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.optimizer.zero_grad()


class FarTooLargeAScale(AccumulatedBy):
    """It comes down by a half each time, and the window is over before it has arrived."""

    start = 2.0**100


class FarTooLargeForLong(FarTooLargeAScale):
    steps = 120


class FindsItsScaleWhileAccumulating(AccumulatedBy):
    start = 2.0**20
    every = 2


SICK = [InfiniteGradient, FusedInfiniteGradient, FarTooLargeAScale, FarTooLargeForLong]
HEALTHY = [Scaled, SkipsAtFirst, FusedSkipsAtFirst, FindsItsScaleWhileAccumulating]
