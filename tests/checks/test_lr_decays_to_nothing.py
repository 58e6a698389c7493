"""A schedule over a short training, whole, is not what kept CE where it was."""

import pytest
import torch

from reid_smoke.checks.catalogue import rank
from tests.checks.examples.lr_decays_to_nothing import EpochsSteppedPerBatch, OverTheWholeTraining
from tests.checks.tiny import Crops, TinyTraining, run_tiny


class OfNoise(OverTheWholeTraining):
    """Nothing can be learnt, and CE stood long before the rate was spent."""

    def make_dataset(self) -> Crops:
        return Crops(self.identities, noise=40.0)


class TwoStepsAtTheEnd(OfNoise):
    def make_scheduler(self) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.MultiStepLR(self.optimizer, [35, 40])


@pytest.mark.parametrize(
    ("training", "named"), [(OfNoise, False), (TwoStepsAtTheEnd, False), (EpochsSteppedPerBatch, True)]
)
def test_only_a_rate_that_was_spent_early_is_a_cause(training: type[TinyTraining], named: bool) -> None:
    _, judgement = run_tiny(training())
    assert judgement.verdict.word == "NO-GO"
    assert ("RS408" in {found.check.code for found in rank(judgement.results)}) is named
