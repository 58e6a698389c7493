from torch import Tensor

from tests.checks.centres import WithCentres
from tests.checks.tiny import TinyTraining


class Accumulates(TinyTraining):
    accumulate = 1000

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        (self.loss(images, labels) / self.accumulate).backward()
        if self.step_number % self.accumulate == 0:
            self.optimizer.step()
            self.optimizer.zero_grad()


class NeverTrue(Accumulates):
    """`step % n == n`, and an epoch of 12 batches."""

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(images, labels).backward()
        if self.step_number % 4 == 4:
            self.optimizer.step()
            self.optimizer.zero_grad()


class OnlyTheCentresStep(WithCentres):
    def step_model(self) -> None:
        pass


class ByFour(Accumulates):
    accumulate = 4


SICK = [Accumulates, NeverTrue, OnlyTheCentresStep]
HEALTHY = [ByFour]
