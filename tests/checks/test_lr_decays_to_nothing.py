"""A schedule over a short training, whole, is not what kept CE where it was."""

from bisect import bisect_right

import pytest
import torch

from tests.checks.examples.lr_decays_to_nothing import EpochsSteppedPerBatch, OverTheWholeTraining
from tests.checks.tiny import TinyTraining, run_tiny


class FarTooSlow(OverTheWholeTraining):
    """CE stood long before the rate was spent."""

    lr_head = lr_backbone = 1e-6


class TwoStepsAtTheEnd(FarTooSlow):
    def make_scheduler(self) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.MultiStepLR(self.optimizer, [35, 40])


class EpochsOfALongTraining(FarTooSlow):
    """Milestones for epochs, stepped once a batch: the second comes when two thirds of what is seen are over."""

    def make_scheduler(self) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.MultiStepLR(self.optimizer, [18, 32])


class TwoDivisionsByTen(FarTooSlow):
    """strong-baseline's own schedule: a hundredth is left, and what rounding adds to it."""

    def make_scheduler(self) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: 0.1 ** bisect_right([3, 5], step))


@pytest.mark.parametrize(
    ("training", "named"),
    [
        (FarTooSlow, False),
        (TwoStepsAtTheEnd, False),
        (EpochsSteppedPerBatch, True),
        (EpochsOfALongTraining, True),
        (TwoDivisionsByTen, True),
    ],
)
def test_only_a_rate_that_was_spent_early_is_a_cause(training: type[TinyTraining], named: bool) -> None:
    _, judgement = run_tiny(training())
    assert judgement.verdict.word == "NO-GO"
    found = {result.check.code for result in judgement.results if result.finding is not None}
    assert ("RS408" in found) is named
