import torch
from torch import Tensor

from tests.checks.tiny import TinyTraining


class Forgotten(TinyTraining):
    steps = 40
    window = (20, 40)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()
        self.loss(images, labels)
        self.optimizer.step()


class AsksForTheGradients(TinyTraining):
    """Gradients by torch.autograd.grad, put where the optimizer looks for them; nothing is ever zeroed."""

    steps = 101  # until an optimizer has stepped, nobody knows that this is how they go backward

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(self.loss(images, labels), parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()


SICK = [Forgotten]
HEALTHY = [AsksForTheGradients, TinyTraining]
