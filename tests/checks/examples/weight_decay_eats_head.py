import torch

from tests.checks.tiny import TinyTraining


class HugeDecay(TinyTraining):
    """Each step takes nine tenths of the head away."""

    decay = 90.0

    def make_optimizer(self) -> torch.optim.Optimizer:
        groups = [
            {"params": self.head_parameters(), "lr": 1e-2, "weight_decay": self.decay},
            {"params": self.other_parameters(), "lr": 1e-4},
        ]
        return torch.optim.AdamW(groups)


class HugeDecaySGD(TinyTraining):
    decay = 5.0

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9, weight_decay=self.decay)


class MoreThanThereIs(TinyTraining):
    """Each step takes five times the head away, and it soon is no number."""

    def make_optimizer(self) -> torch.optim.Optimizer:
        groups = [
            {"params": self.head_parameters(), "lr": 0.1, "weight_decay": 50.0},
            {"params": self.other_parameters(), "lr": 1e-2},
        ]
        return torch.optim.SGD(groups, momentum=0.9)


class UsualDecay(HugeDecaySGD):
    decay = 5e-4


SICK = [HugeDecay, HugeDecaySGD, MoreThanThereIs]
HEALTHY = [UsualDecay]
