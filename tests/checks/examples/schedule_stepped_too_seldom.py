import torch
from torch.optim import lr_scheduler

from tests.checks.tiny import TinyTraining


class PerEpoch(TinyTraining):
    """A schedule that is stepped at each epoch's end."""

    schedule: torch.optim.lr_scheduler.LRScheduler

    def after_epoch(self) -> None:
        self.schedule.step()


class WarmUpOf500Steps(PerEpoch):
    lr_head = lr_backbone = 1e-3

    def after_building(self) -> None:
        self.schedule = lr_scheduler.LinearLR(self.optimizer, 0.01, total_iters=500)


class NeverStepped(TinyTraining):
    """CE passes all the same, and so it is a warning."""

    def after_building(self) -> None:
        self.schedule = lr_scheduler.LinearLR(self.optimizer, 0.2, total_iters=20)


class CosineOfAllSteps(PerEpoch):
    """It will never decay: a warning."""

    def after_building(self) -> None:
        self.schedule = lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=120 * 12)


class WarmUpOfFiveEpochs(PerEpoch):
    def after_building(self) -> None:
        warm_up = lr_scheduler.LinearLR(self.optimizer, 0.2, total_iters=5)
        decay = lr_scheduler.MultiStepLR(self.optimizer, [40, 70])
        self.schedule = lr_scheduler.SequentialLR(self.optimizer, [warm_up, decay], [5])


class StagedBesideAWarmUpPerStep(PerEpoch):
    """Two schedules of one optimizer: a warm-up in steps, and milestones in epochs."""

    def make_scheduler(self) -> torch.optim.lr_scheduler.LRScheduler:
        return lr_scheduler.LinearLR(self.optimizer, 0.01, total_iters=30)

    def after_building(self) -> None:
        self.schedule = lr_scheduler.StepLR(self.optimizer, 40)


SICK = [WarmUpOf500Steps, NeverStepped, CosineOfAllSteps]
HEALTHY = [WarmUpOfFiveEpochs, StagedBesideAWarmUpPerStep]
