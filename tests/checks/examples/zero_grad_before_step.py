import torch
from torch import Tensor
from torch.nn import functional as F

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


class AfterTheCentres(TinyTraining):
    """The centres' optimizer steps first; what is zeroed then is the model's."""

    steps, window = 40, (20, 40)

    def after_building(self) -> None:
        self.centres = torch.nn.Parameter(torch.zeros(self.identities, 512))
        self.of_centres = torch.optim.SGD([self.centres], lr=0.5)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        return F.cross_entropy(score, labels) + 5e-7 * (feature - self.centres[labels]).square().sum(1).mean()

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.of_centres.zero_grad()
        self.loss(images, labels).backward()
        self.of_centres.step()
        self.model.zero_grad()
        self.optimizer.step()


class CentresZeroedBetween(AfterTheCentres):
    """Each optimizer zeroes its own, after its own step."""

    steps, window = 45, (30, 45)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(images, labels).backward()
        self.of_centres.step()
        self.of_centres.zero_grad()
        self.optimizer.step()
        self.optimizer.zero_grad()


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


SICK = [Between, BetweenSetToZero, AfterTheCentres, BeforeEachBatchOfFour]
HEALTHY = [AfterTheStep, CentresZeroedBetween, AfterEachFour]
