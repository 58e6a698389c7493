from torch import Tensor

from tests.checks.tiny import TinyTraining


class Forgotten(TinyTraining):
    steps = 40
    window = (20, 40)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()
        self.loss(images, labels)
        self.optimizer.step()


SICK = [Forgotten]
HEALTHY = [TinyTraining]
