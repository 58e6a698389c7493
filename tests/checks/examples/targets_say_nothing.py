import copy

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class MeanTeacher(TinyTraining):
    """A teacher that follows its student, and a loss between what the two say."""

    weight = 0.5

    def after_building(self) -> None:
        self.teacher = copy.deepcopy(self.model).requires_grad_(False)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        student, teacher = self.model(images)[0], self.teacher(images)[0]
        consistency = -(teacher.softmax(1) * student.log_softmax(1)).sum(1).mean()
        return self.of_labels(student, teacher, labels) + self.weight * consistency

    def of_labels(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(student, labels)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        super().train_step(images, labels)
        for slow, fast in zip(self.teacher.parameters(), self.model.parameters(), strict=True):
            slow.data.lerp_(fast.data, 0.01)


class SmoothedBesideATeacher(MeanTeacher):
    """Labels that were smoothed by hand, of half the weight of what another teacher says, who knows nothing."""

    weight = 1.0

    def after_building(self) -> None:
        torch.manual_seed(1)
        self.teacher = self.make_model().requires_grad_(False)

    def of_labels(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        targets = F.one_hot(labels, self.identities) * 0.9 + 0.1 / self.identities
        return -0.5 * (targets * student.log_softmax(1)).sum(1).mean()


class LabelsToTheTeacher(MeanTeacher):
    def of_labels(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(teacher, labels)


class SmoothedAway(TinyTraining):
    """0.99 for everybody, and 0.01 for who it is."""

    smoothing = 0.99

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        targets = F.one_hot(labels, self.identities) * (1 - self.smoothing) + self.smoothing / self.identities
        return (-targets * self.model(images)[0].log_softmax(1)).sum(1).mean()


class NothingLeft(SmoothedAway):
    """A smoothing of 1, as where the on and the off value of mixup's targets are the same: no label is to be seen."""

    smoothing = 1.0


class SmoothedUnderSGD(SmoothedAway):
    """What is left of the label is what SGD's step is made of."""

    steps, window = 60, (40, 60)
    smoothing = 0.3

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.1)


class ConfidenceForSmoothing(SmoothedUnderSGD):
    """The right one of twenty-four identities has 9 %, and that is twice what each other has."""

    smoothing = 0.95


SICK = [LabelsToTheTeacher, SmoothedAway, NothingLeft, ConfidenceForSmoothing]
HEALTHY = [MeanTeacher, SmoothedBesideATeacher, SmoothedUnderSGD]
