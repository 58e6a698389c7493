"""How grave an oddity is that some trainings bear: that depends on what CE does."""

from __future__ import annotations

from math import isfinite

from reid_smoke.checks.catalogue import Severity
from reid_smoke.rule import Curve


def grave_if_ce_fails(curve: Curve) -> Severity:
    """The cause where CE fails the rule or is no number any more, a warning where it does neither."""
    last = curve.ce.last
    broken_early = curve.word == "short" and last is not None and not isfinite(last)  # before the window was over
    return "fail" if broken_early or curve.word in ("flat", "slow", "rises", "broken") else "warn"
