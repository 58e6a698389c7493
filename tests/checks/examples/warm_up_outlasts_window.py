from functools import partial

import torch
from torch.optim import lr_scheduler

from tests.checks.tiny import TinyTraining


class PerEpoch(TinyTraining):
    """As strong-baseline writes it: a schedule of its own that is stepped once an epoch."""

    steps, window = 100, (60, 100)
    lr_head = lr_backbone = 5e-4

    def make_scheduler(self) -> None:
        self.per_epoch = WarmupMultiStepLR(self.optimizer, [400, 700], warmup_iters=30)

    def after_epoch(self) -> None:
        self.per_epoch.step()


class WarmupMultiStepLR(lr_scheduler.LRScheduler):
    def __init__(self, optimizer: torch.optim.Optimizer, milestones: list[int], warmup_iters: int) -> None:
        self.milestones, self.warmup_iters = milestones, warmup_iters
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        factor = min(1.0, 0.01 + 0.99 * self.last_epoch / self.warmup_iters)
        factor *= 0.1 ** sum(self.last_epoch >= milestone for milestone in self.milestones)
        return [base * factor for base in self.base_lrs]


class OverManySteps(TinyTraining):
    steps, window = 100, (60, 100)
    lr_head = lr_backbone = 5e-4

    def make_scheduler(self) -> lr_scheduler.LRScheduler:
        return lr_scheduler.LinearLR(self.optimizer, 0.001, total_iters=600)


class InSequence(OverManySteps):
    def make_scheduler(self) -> lr_scheduler.LRScheduler:
        decay = lr_scheduler.CosineAnnealingLR(self.optimizer, 2000)
        return lr_scheduler.SequentialLR(self.optimizer, [super().make_scheduler(), decay], [600])


class ByAFunction(OverManySteps):
    def make_scheduler(self) -> lr_scheduler.LRScheduler:
        return lr_scheduler.LambdaLR(self.optimizer, partial(_share, warmup_steps=600))


def _share(step: int, warmup_steps: int) -> float:
    return min(1.0, (step + 1) / warmup_steps)


class AfterItsOwnStateAgain(OverManySteps):
    """A wrapper gives the optimizer the state that it has, as those do that move it to a device: nothing is resumed."""

    def make_scheduler(self) -> None:
        return None

    def train(self) -> None:
        self.optimizer.load_state_dict(self.optimizer.state_dict())
        self.scheduler = lr_scheduler.LinearLR(self.optimizer, 0.001, total_iters=2000)
        super().train()


class OneCycle(TinyTraining):
    """Its optimizer's own lr is where it begins; where it leads is another entry of the group."""

    steps, window = 100, (60, 100)

    def make_scheduler(self) -> lr_scheduler.LRScheduler:
        return lr_scheduler.OneCycleLR(self.optimizer, 5e-4, total_steps=2000, div_factor=1000)


class ByHand(OverManySteps):
    """Nothing tells where it leads."""

    def make_scheduler(self) -> None:
        return None

    def train_step(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr_head * min(1.0, self.step_number / 600)
        super().train_step(images, labels)


class OfTheLoss(OverManySteps):
    """As layumi writes it: the loss is multiplied, and the learning rate stands from the start."""

    lr_head = lr_backbone = 0.02

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), self.lr_head, momentum=0.9, nesterov=True)

    def make_scheduler(self) -> lr_scheduler.LRScheduler:
        return lr_scheduler.StepLR(self.optimizer, 1000)

    def loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return super().loss(images, labels) * self.factor()

    def factor(self) -> float:
        return min(1.0, self.step_number / 3000)


class OfTheLossOver(OfTheLoss):
    def factor(self) -> float:
        return min(1.0, 0.1 + 0.9 * self.step_number / 40)


class EndsBeforeTheWindow(TinyTraining):
    def make_scheduler(self) -> lr_scheduler.LRScheduler:
        return lr_scheduler.LinearLR(self.optimizer, 0.001, total_iters=40)


class LearnsAllTheSame(TinyTraining):
    def make_scheduler(self) -> lr_scheduler.LRScheduler:
        return lr_scheduler.LinearLR(self.optimizer, 0.05, total_iters=600)


SICK = [PerEpoch, OverManySteps, InSequence, ByAFunction, AfterItsOwnStateAgain, OneCycle, ByHand, OfTheLoss]
HEALTHY = [EndsBeforeTheWindow, OfTheLossOver, LearnsAllTheSame]
