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


class AfterTheStep(TinyTraining):
    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(images, labels).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


SICK = [Between, BetweenSetToZero]
HEALTHY = [AfterTheStep]
