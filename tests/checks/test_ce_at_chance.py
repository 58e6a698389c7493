"""A curve that starts late is no reason to hunt for a fault first."""

from __future__ import annotations

from math import log

import pytest

from reid_smoke.checks.loss_and_logits.ce_at_chance import ce_at_chance
from reid_smoke.rule import CeFigures, Curve, RuleFigures

RULE = RuleFigures(40, log(40), log(40) - 0.39, (80, 120), 96.0)


def flat_curve(per_step: float) -> Curve:
    """Flat and a little noisy until step 80, and from there on with this slope."""
    ces = [3.7 + 0.05 * (-1) ** step + per_step * max(0, step - 80) for step in range(1, 121)]
    ce = CeFigures(3.7, 3.7 + 20 * per_step, ces[-1], None, tuple(enumerate(ces, 1)))
    return Curve("flat", RULE, ce)


@pytest.mark.parametrize(("per_step", "late"), [(-0.007, True), (0.0, False), (0.007, False)])
def test_a_late_start_is_told(per_step: float, late: bool) -> None:
    finding = ce_at_chance.judge(flat_curve(per_step))
    assert finding is not None
    assert ("falls by 0.70 per 100 steps" in finding.evidence and "--window 120:160" in finding.evidence) == late
