"""How grave an oddity is that some trainings bear: that depends on what CE does."""

from __future__ import annotations

from reid_smoke.checks.catalogue import Severity
from reid_smoke.rule import Curve


def grave_if_ce_fails(curve: Curve) -> Severity:
    """The cause where CE fails the rule, a warning where it does not."""
    return "fail" if curve.word in ("flat", "slow", "rises", "broken") else "warn"
