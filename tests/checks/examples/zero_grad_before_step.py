from torch import Tensor

from tests.checks.tiny import TinyTraining


class Between(TinyTraining):
    steps = 40
    window = (20, 40)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(images, labels).backward()
        self.optimizer.zero_grad()
        self.optimizer.step()


class BetweenSetToZero(TinyTraining):
    steps = 40
    window = (20, 40)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(images, labels).backward()
        self.optimizer.zero_grad(set_to_none=False)
        self.optimizer.step()


class BeforeEachBatchOfFour(TinyTraining):
    """Accumulates over four batches, of which the last is left."""

    lr_head = 1e-3

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()
        (self.loss(images, labels) / 4).backward()
        if self.step_number % 4 == 0:
            self.optimizer.step()


class AfterEachFour(TinyTraining):
    steps, window = 100, (60, 100)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        (self.loss(images, labels) / 4).backward()
        if self.step_number % 4 == 0:
            self.optimizer.step()
            self.optimizer.zero_grad()


class AfterTheStep(TinyTraining):
    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(images, labels).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


SICK = [Between, BetweenSetToZero, BeforeEachBatchOfFour]
HEALTHY = [AfterTheStep, AfterEachFour]
