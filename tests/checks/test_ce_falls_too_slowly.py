"""Where the window was set before the usual one, and CE crosses the bar by then at its pace, that window is named."""

from __future__ import annotations

from math import log

import pytest

from reid_smoke.checks.loss_and_logits.ce_falls_too_slowly import ce_falls_too_slowly
from reid_smoke.rule import CeFigures, Curve, RuleFigures


def test_the_next_window_where_ce_came_under_the_bar_within_this_one() -> None:
    rule = RuleFigures(48, log(48), log(48) - 0.39, (30, 60), 40.0)
    finding = ce_falls_too_slowly.judge(Curve("slow", rule, CeFigures(3.9, 3.53, 3.3, -0.8, ((1, 3.9),))))
    assert finding is not None
    assert "crosses at step 51, before the window's end" in finding.evidence
    assert "see --window 60:90" in finding.evidence


@pytest.mark.parametrize(
    ("window", "trend", "named"), [((60, 100), -0.15, True), ((60, 100), -0.05, False), ((300, 400), -0.15, False)]
)
def test_the_usual_window(window: tuple[int, int], trend: float, named: bool) -> None:
    rule = RuleFigures(100, log(100), log(100) - 0.39, window, 16.0)
    finding = ce_falls_too_slowly.judge(Curve("slow", rule, CeFigures(4.6, 4.5, 4.45, trend, ((1, 4.6),))))
    assert finding is not None
    assert ("see --window 200:300" in finding.evidence) == named
