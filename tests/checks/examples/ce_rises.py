import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import Model, TinyTraining


class MaximisesForAWhile(TinyTraining):
    """An option that was meant for a reward: the loss is maximised, gently enough that nothing overshoots."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, _ = self.model(images)
        return 0.03 * F.cross_entropy(score, labels)

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.2, maximize=True)


class ScaleOf64(TinyTraining):
    """A margin softmax at scale 64 starts far above chance and falls."""

    def make_model(self) -> Model:
        model = Model(self.identities)
        torch.nn.init.normal_(model.classifier.weight, std=0.3)
        return model


SICK = [MaximisesForAWhile]
HEALTHY = [ScaleOf64]
