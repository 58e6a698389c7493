"""The three ways in which CE fails the rule, as checks see them: the residue, when nothing else explains it."""

from __future__ import annotations

from reid_smoke.checks.catalogue import Severity
from reid_smoke.facts import DatasetFacts, GraphFacts, RunFacts, StepFacts
from reid_smoke.rule import Curve, read_curve


def curve_of(
    steps: list[StepFacts], runs: list[RunFacts], datasets: list[DatasetFacts], graphs: list[GraphFacts]
) -> Curve:
    return read_curve(
        runs[0] if runs else None, datasets[0] if datasets else None, graphs[-1] if graphs else None, steps
    )


def grave_if_ce_fails(curve: Curve) -> Severity:
    """For oddities that some trainings bear: the cause where CE fails the rule, a warning where it does not."""
    return "fail" if curve.word in ("flat", "slow", "rises", "broken") else "warn"
