"""The learning rate's schedule: one factor for all groups, as a function of how often the scheduler was stepped."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from reid_smoke.config.schema import ScheduleConfig
from reid_smoke.errors import UsageError

DEFAULT_EPOCHS = 120  # of a cosine: what most ReID recipes train for


def lr_factor(config: ScheduleConfig, steps_per_epoch: int) -> Callable[[int], float]:
    """The function t -> factor, by which every group's lr is multiplied after t steps of the scheduler; t = 0 at first.

    All lengths count steps or epochs, as `config.per` says, from the start of training, warm-up included:

    - warm-up: from `warmup_factor` at t = 0 linearly to 1 at t = `warmup`;
    - cosine: (1 + cos(pi (t - warmup) / (length - warmup))) / 2 (Loshchilov & Hutter 2017), 0 from t = `length` on;
    - multistep: `gamma` to the number of milestones at or before t.

    `steps_per_epoch`: optimizer steps, for the default length of a cosine per step. Raises UsageError where the
    settings contradict each other.
    """
    warmup = config.warmup
    if config.name == "warmup" and not warmup:
        raise UsageError("schedule.name: warmup needs schedule.warmup, its length")
    if config.name == "constant" and warmup:
        raise UsageError(f"schedule.name: constant has no warm-up, but schedule.warmup is {warmup}. Say name: warmup")
    length = config.length or DEFAULT_EPOCHS * (steps_per_epoch if config.per == "step" else 1)
    if config.name == "cosine" and length <= warmup:
        raise UsageError(f"schedule.length {length} ends before schedule.warmup {warmup} does, in {config.per}s")

    def factor(t: int) -> float:
        if t < warmup:
            return config.warmup_factor + (1 - config.warmup_factor) * t / warmup
        if config.name == "cosine":
            return (1 + math.cos(math.pi * min(1.0, (t - warmup) / (length - warmup)))) / 2
        if config.name == "multistep":
            return float(config.gamma ** bisect_right(sorted(config.milestones), t))
        return 1.0

    return factor


def build_scheduler(config: ScheduleConfig, optimizer: Optimizer, steps_per_epoch: int) -> LambdaLR | None:
    """The scheduler of this config; None for a constant lr. Sets the groups' lr for the first step at once.

    One LambdaLR, and no chain of LinearLR, CosineAnnealingLR and MultiStepLR under a SequentialLR: the chain counts
    milestones from the end of the warm-up, lets a cosine climb again after its end, and warns of a deprecated call.

    Raises UsageError as `lr_factor` does.
    """
    factor = lr_factor(config, steps_per_epoch)
    if config.name == "constant":
        return None
    # A GradScaler skips its first steps by design, and torch then blames the order of the calls.
    warnings.filterwarnings("ignore", message=r"Detected call of `lr_scheduler\.step")
    return LambdaLR(optimizer, factor)
