import torch
from torch import nn

from tests.checks.by_hand import SteppedByHand
from tests.checks.memory_bank import MemoryBank
from tests.checks.tiny import TinyTraining


class Tiny(TinyTraining):
    limit = 1e-6

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)

    def clip(self) -> None:
        nn.utils.clip_grad_norm_(self.model.parameters(), self.limit)


class TinyValueAdam(TinyTraining):
    """By value, under Adam's eps: clipping to 1e-12 leaves nothing even of a step that divides by itself."""

    def clip(self) -> None:
        nn.utils.clip_grad_value_(self.model.parameters(), 1e-13)


class BeforeAMemory(MemoryBank):
    """No parameter makes the logits: what is left of the gradient shows at the backbone."""

    steps, window = 60, (40, 60)
    limit = 1e-6

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)

    def clip(self) -> None:
        nn.utils.clip_grad_norm_(self.model.parameters(), self.limit)


class UsualBeforeAMemory(MemoryBank):
    def clip(self) -> None:
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)


class BeforeStepsByHand(SteppedByHand, Tiny):
    """Before an optimizer of another kind than torch's, of which no hook tells."""

    lr_by_hand = 0.1


class UsualBeforeStepsByHand(BeforeStepsByHand):
    limit = 5.0


class Usual(Tiny):
    limit = 5.0


SICK = [Tiny, TinyValueAdam, BeforeStepsByHand, BeforeAMemory]
HEALTHY = [Usual, UsualBeforeStepsByHand, UsualBeforeAMemory]
