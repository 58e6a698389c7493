import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.centres import WithCentres
from tests.checks.memory_bank import MemoryBank
from tests.checks.tiny import TinyTraining


class CopiedAfterwards(TinyTraining):
    steps = 40
    window = (20, 40)

    def after_building(self) -> None:
        self.original = self.model
        self.model = copy.deepcopy(self.model)


class CopiedBesideCentres(WithCentres):
    """The centres' own optimizer is right, the model's is not."""

    steps = 40
    window = (20, 40)

    def after_building(self) -> None:
        super().after_building()
        self.original = self.model
        self.model = copy.deepcopy(self.model)


class HoldsItsTeacher(TinyTraining):
    """The parameters of a wider teacher were handed to the optimizer, which no loss reaches."""

    steps = 40
    window = (20, 40)

    def make_optimizer(self) -> torch.optim.Optimizer:
        self.teacher = nn.Sequential(nn.Flatten(), nn.Linear(192, 64), nn.ReLU(), nn.Linear(64, self.identities))
        return torch.optim.AdamW(self.teacher.parameters(), lr=1e-3)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            opinion = self.teacher(images).softmax(1)
        student = self.model(images)[0]
        return F.cross_entropy(student, labels) + 0.5 * F.cross_entropy(student, opinion)


class CopiedBesideAMemory(MemoryBank):
    """No head is a parameter; the model that extracts features for clustering is not the one that is trained."""

    def after_building(self) -> None:
        self.original = self.model
        self.model = copy.deepcopy(self.model)


class BuiltAnewForAResume(TinyTraining):
    """The best model so far is loaded into a new one, and the optimizer goes on with the old one."""

    steps, window = 60, (40, 60)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        if self.step_number == 10:
            self.original = self.model
            self.model = self.make_model()
        super().train_step(images, labels)


class TeacherCopied(TinyTraining):
    """The copy is a teacher that follows the student, and in no optimizer."""

    def after_building(self) -> None:
        self.teacher = copy.deepcopy(self.model).requires_grad_(False)

    def train_step(self, images, labels) -> None:
        super().train_step(images, labels)
        for slow, fast in zip(self.teacher.parameters(), self.model.parameters(), strict=True):
            slow.data.lerp_(fast.data, 0.01)


SICK = [CopiedAfterwards, CopiedBesideCentres, HoldsItsTeacher, CopiedBesideAMemory, BuiltAnewForAResume]
HEALTHY = [TeacherCopied, MemoryBank]
