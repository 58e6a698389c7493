from torch import Tensor

from tests.checks.tiny import TinyTraining


class NeverZeroed(TinyTraining):
    steps = 40
    window = (20, 40)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(images, labels).backward()
        self.optimizer.step()


class AccumulatesAndNeverZeroes(NeverZeroed):
    def train_step(self, images: Tensor, labels: Tensor) -> None:
        (self.loss(images, labels) / 2).backward()
        if self.step_number % 2 == 0:
            self.optimizer.step()


class SetToNoneByHand(TinyTraining):
    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(images, labels).backward()
        self.optimizer.step()
        for parameter in self.model.parameters():
            parameter.grad = None


SICK = [NeverZeroed, AccumulatesAndNeverZeroes]
HEALTHY = [SetToNoneByHand]
