import torch
from torch import Tensor

from tests.checks.tiny import TinyTraining


class OldStepLeftStanding(TinyTraining):
    def train_step(self, images: Tensor, labels: Tensor) -> None:
        super().train_step(images, labels)
        self.optimizer.step()


class Lookahead(torch.optim.Optimizer):
    """A wrapper whose step steps another."""

    def __init__(self, inner: torch.optim.Optimizer) -> None:
        super().__init__(inner.param_groups, {})
        self.inner = inner

    def step(self, closure=None):
        self.inner.step(closure)


class Wrapped(TinyTraining):
    def make_optimizer(self) -> torch.optim.Optimizer:
        return Lookahead(super().make_optimizer())


SICK = [OldStepLeftStanding]
HEALTHY = [Wrapped]
