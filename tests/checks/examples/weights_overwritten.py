import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class WithAverage(TinyTraining):
    """Of the model's weights, or what was meant for one."""

    def after_building(self) -> None:
        self.average = copy.deepcopy(self.model)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        super().train_step(images, labels)
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.model.parameters(), strict=True):
                self.update(slow, fast)

    def update(self, slow: Tensor, fast: Tensor) -> None:
        slow.lerp_(fast, 0.1)


class TeacherCopiedBack(WithAverage):
    """A mean teacher, and the two arguments of `copy_` exchanged."""

    def update(self, slow: Tensor, fast: Tensor) -> None:
        slow.lerp_(fast, 5e-4)
        fast.copy_(slow)


class TeacherMixedIntoTheStudent(WithAverage):
    """A mean teacher, and the two models given to its update the wrong way round: it stays as it was at first."""

    momentum = 0.9
    lr_head = 1e-3

    def update(self, slow: Tensor, fast: Tensor) -> None:
        fast.mul_(self.momentum).add_(slow, alpha=1 - self.momentum)


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


class Constrained(TinyTraining):
    """After each step the head is brought to where it may be: here no row is longer than it may be."""

    longest = 0.2

    @torch.no_grad()
    def train_step(self, images: Tensor, labels: Tensor) -> None:
        with torch.enable_grad():
            super().train_step(images, labels)
        self.constrain(self.model.classifier.weight)

    def constrain(self, weight: Tensor) -> None:
        weight.mul_((self.longest / weight.norm(dim=1, keepdim=True)).clamp(max=1.0))


class OfOneLengthAsAWhole(Constrained):
    def constrain(self, weight: Tensor) -> None:
        weight.mul_(1.0 / weight.norm())


class RowsKeepTheirLengths(Constrained):
    """Each has one of its own."""

    def after_building(self) -> None:
        self.lengths = torch.linspace(0.1, 0.3, self.identities)[:, None]

    def constrain(self, weight: Tensor) -> None:
        weight.mul_(self.lengths / weight.norm(dim=1, keepdim=True))


class DecayedByHand(Constrained):
    def constrain(self, weight: Tensor) -> None:
        weight.mul_(1 - 1e-3)


class Lookahead(TinyTraining):
    """Every few steps, half of the way that these went is taken back."""

    every = 3

    def after_building(self) -> None:
        self.slow = [p.detach().clone() for p in self.model.parameters()]

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        super().train_step(images, labels)
        if self.step_number % self.every:
            return
        with torch.no_grad():
            for slow, fast in zip(self.slow, self.model.parameters(), strict=True):
                fast.copy_(slow.lerp_(fast, 0.5))


class ValidatesWithTheAverage(WithAverage):
    """Between two epochs the average takes the model's place, and the model comes back."""

    def after_epoch(self) -> None:
        own = copy.deepcopy(self.model.state_dict())
        self.model.load_state_dict(self.average.state_dict())
        self.model.load_state_dict(own)


SICK = [TeacherCopiedBack, TeacherMixedIntoTheStudent, InitialisedInTheForward, LoadedEachEpoch]
HEALTHY = [
    ClassesOfUnitLength, Constrained, OfOneLengthAsAWhole, RowsKeepTheirLengths, DecayedByHand, Lookahead,
    ValidatesWithTheAverage,
]  # fmt: skip
