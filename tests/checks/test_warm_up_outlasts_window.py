"""A learning rate that has arrived is no warm-up any more, and what a later window would be."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import pytest

from reid_smoke.checks.catalogue import Finding
from reid_smoke.checks.optimizer_and_schedule.warm_up_outlasts_window import warm_up_outlasts_window
from reid_smoke.facts import RunFacts, ScheduleFacts, ScheduleRecord
from reid_smoke.rule import CeFigures, Curve, RuleFigures
from tests.report.ledgers import step_facts

SET = 3.5e-4
CURVE = Curve(
    "flat",
    RuleFigures(100, log(100), log(100) - 0.39, (60, 100), 16.0),
    CeFigures(4.6, 4.6, 4.6, 0.0, tuple((step, 4.6) for step in range(1, 101))),
)


def judged(lr: Callable[[int], float], way_in: str = "watch", lr_set: float | None = SET) -> Finding | None:
    steps = [step_facts(step, 4.6, lr_head=lr(step)) for step in range(1, 101)]
    schedule = ScheduleRecord(name="LambdaLR", position=100, calls=100)
    schedules = [
        ScheduleFacts(step=100, updates=100, epochs=4, lr=lr(100), lr_set=lr_set, schedules=(schedule,))
        for _ in range(lr_set is not None)
    ]
    run = RunFacts(way_in=way_in, name="a test", window=(60, 100))  # type: ignore[arg-type]
    return warm_up_outlasts_window.judge(steps, CURVE, [], schedules, [run])


def per_epoch(epochs: int) -> Callable[[int], float]:
    """Over so many epochs of 25 steps, from a hundredth."""
    return lambda step: SET * min(1.0, 0.01 + 0.99 * ((step - 1) // 25) / epochs)


def test_a_window_after_it_is_named() -> None:
    finding = judged(per_epoch(10))
    assert finding is not None
    assert "31% of the 0.00035" in finding.evidence
    assert "at step 251" in finding.evidence
    assert finding.mend is not None
    assert "--window 260:300" in finding.mend


def test_of_a_config_it_is_a_setting() -> None:
    finding = judged(per_epoch(10), way_in="run")
    assert finding is not None
    assert finding.mend is not None
    assert "--set rule.window=[260,300]" in finding.mend


@pytest.mark.parametrize(
    "lr",
    [
        per_epoch(3),  # there at step 76
        per_epoch(2000),  # nobody waits for that
        lambda step: SET,
        lambda step: SET * (0.01 if step < 20 else 0.3),  # rises once, and there it stays
        lambda step: SET * step / 100 if step < 50 else SET * 0.4,  # falls again
    ],
)
def test_what_does_not_rise_on_its_way_is_none(lr: Callable[[int], float]) -> None:
    assert judged(lr) is None


def test_beyond_what_was_set_nothing_tells_how_far() -> None:
    """The lr of one GPU is led up to that of eight."""
    finding = judged(lambda step: SET * (0.1 + 7.9 * step / 400))
    assert finding is not None
    assert "not known" in finding.evidence
    assert finding.mend is None
