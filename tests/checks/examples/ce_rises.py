import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import Model, TinyTraining


class GradientReversed(TinyTraining):
    """A gradient reversal left from domain adaptation turns the whole loss around, gently enough not to overshoot."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, _ = self.model(images)
        score.register_hook(lambda gradient: -gradient)
        return 0.03 * F.cross_entropy(score, labels)

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.2)


class ScaleOf64(TinyTraining):
    """A margin softmax at scale 64 starts far above chance and falls."""

    def make_model(self) -> Model:
        model = Model(self.identities)
        torch.nn.init.normal_(model.classifier.weight, std=0.3)
        return model


SICK = [GradientReversed]
HEALTHY = [ScaleOf64]
