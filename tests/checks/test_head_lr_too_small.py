"""What shortens the head's steps is named: its learning rate, or an eps that lost its minus."""

import pytest

from tests.checks.examples.head_lr_too_small import LostTheMinusOfEps, OneLearningRate
from tests.checks.tiny import TinyTraining, run_tiny


@pytest.mark.parametrize(("training", "of_eps"), [(OneLearningRate, False), (LostTheMinusOfEps, True)])
def test_a_large_eps_is_told_from_a_small_rate(training: type[TinyTraining], of_eps: bool) -> None:
    _, judgement = run_tiny(training())
    (found,) = [r.finding for r in judgement.results if r.check.code == "RS401" and r.finding is not None]
    assert ("with an eps of 1e+08" in found.evidence) is of_eps
    assert ("eps=1e-8" in (found.mend or "")) is of_eps
