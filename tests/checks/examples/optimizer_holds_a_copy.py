import copy

from tests.checks.centres import WithCentres
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


class TeacherCopied(TinyTraining):
    """The copy is a teacher that follows the student, and in no optimizer."""

    def after_building(self) -> None:
        self.teacher = copy.deepcopy(self.model).requires_grad_(False)

    def train_step(self, images, labels) -> None:
        super().train_step(images, labels)
        for slow, fast in zip(self.teacher.parameters(), self.model.parameters(), strict=True):
            slow.data.lerp_(fast.data, 0.01)


SICK = [CopiedAfterwards, CopiedBesideCentres]
HEALTHY = [TeacherCopied]
