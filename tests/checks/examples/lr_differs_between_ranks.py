import torch

from tests.checks.two_ranks import TwoRanks


class Warmed(TwoRanks):
    """A warm-up that each rank steps."""

    def make_scheduler(self) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda t: min(1.0, 0.1 + 0.05 * t))


class FirstRankAlone(Warmed):
    """`if rank == 0: scheduler.step()`"""

    def after_building(self) -> None:
        super().after_building()
        if self.rank:
            self.scheduler = None


SICK = [FirstRankAlone]
HEALTHY = [Warmed]
