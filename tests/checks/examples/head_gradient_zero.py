from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class ClampedAway(TinyTraining):
    """All logits lie under the clamp's lower end."""

    steps = 40
    window = (20, 40)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images)[0].clamp(min=30.0), labels)


class Clamped(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images)[0].clamp(-30.0, 30.0), labels)


class FrozenOnceItHasLearnt(TinyTraining):
    """In two phases: later on the backbone alone is trained, to a head that stays."""

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.steps_done = getattr(self, "steps_done", 0) + 1
        self.model.classifier.weight.requires_grad_(self.steps_done <= 22)
        super().train_step(images, labels)


SICK = [ClampedAway]
HEALTHY = [Clamped, FrozenOnceItHasLearnt]
