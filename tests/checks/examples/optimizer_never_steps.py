from torch import Tensor

from tests.checks.centres import WithCentres
from tests.checks.tiny import Crops, TinyTraining


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


class Forgotten(TinyTraining):
    """In a window that ends before an epoch does."""

    steps, window = 30, (20, 30)

    def make_dataset(self) -> Crops:
        return Crops(self.identities, images=32)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()
        self.loss(images, labels).backward()


class OnlyTheCentresStep(WithCentres):
    def step_model(self) -> None:
        pass


class ByFour(Accumulates):
    accumulate = 4


SICK = [Accumulates, NeverTrue, Forgotten, OnlyTheCentresStep]
HEALTHY = [ByFour]
