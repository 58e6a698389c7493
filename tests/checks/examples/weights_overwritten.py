import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class TeacherCopiedBack(TinyTraining):
    """A mean teacher, and the two arguments of `copy_` exchanged."""

    def after_building(self) -> None:
        self.teacher = copy.deepcopy(self.model)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        super().train_step(images, labels)
        with torch.no_grad():
            for slow, fast in zip(self.teacher.parameters(), self.model.parameters(), strict=True):
                slow.lerp_(fast, 5e-4)
                fast.copy_(slow)


class InitialisedInTheForward(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        nn.init.normal_(self.model.classifier.weight, std=0.001)
        return super().loss(images, labels)


class LoadedEachEpoch(TinyTraining):
    lr_head = 1e-3

    def after_building(self) -> None:
        self.best = copy.deepcopy(self.model.state_dict())

    def after_epoch(self) -> None:
        self.model.load_state_dict(self.best)


class ClassesOfUnitLength(TinyTraining):
    """The head's rows are brought back to unit length after each step."""

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        super().train_step(images, labels)
        with torch.no_grad():
            self.model.classifier.weight.copy_(F.normalize(self.model.classifier.weight))


class ValidatesWithTheAverage(TinyTraining):
    """Between two epochs the average takes the model's place, and the model comes back."""

    def after_building(self) -> None:
        self.average = copy.deepcopy(self.model)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        super().train_step(images, labels)
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.model.parameters(), strict=True):
                slow.lerp_(fast, 0.1)

    def after_epoch(self) -> None:
        own = copy.deepcopy(self.model.state_dict())
        self.model.load_state_dict(self.average.state_dict())
        self.model.load_state_dict(own)


SICK = [TeacherCopiedBack, InitialisedInTheForward, LoadedEachEpoch]
HEALTHY = [ClassesOfUnitLength, ValidatesWithTheAverage]
