"""Which weights were safe and which was held, read from the facts."""

from __future__ import annotations

import math

import pytest

from reid_smoke.facts import HandoverFacts, HandoverPlanFacts
from reid_smoke.handover import held, largest_safe, plan_ends, read_stages

PLAN = HandoverPlanFacts(step=300, weights=(0.1, 0.3), ends=(330, 360), limit=5.7)


def stretches(*told: tuple[int, float, float], steps: int = 10) -> list[HandoverFacts]:
    """(last step, weight, CE)."""
    return [
        HandoverFacts(step=step, steps=steps, weight=weight, ce=ce, sdm=20.0, images=80) for step, weight, ce in told
    ]


@pytest.mark.parametrize(
    ("left", "weights", "steps", "ends"),
    [
        (1563, 3, None, (821, 1342, 1863)),  # the rest of an epoch of 1863
        (40, 3, None, (330, 360, 390)),  # too little is left of it
        (1563, 3, 100, (400, 500, 600)),
        (91, 2, None, (345, 391)),
    ],
)
def test_the_rest_of_the_epoch_is_divided(left: int, weights: int, steps: int | None, ends: tuple[int, ...]) -> None:
    assert plan_ends(300, left, weights, steps) == ends


def test_both_weights_are_safe_where_ce_stays() -> None:
    facts = stretches(*[(300 + 10 * n, 0.1 if n < 4 else 0.3, 5.0 - 0.1 * n) for n in range(1, 7)])
    assert [stage.word for stage in read_stages(PLAN, facts[:2])] == ["open"]
    first, second = read_stages(PLAN, facts)
    assert (first.word, first.first_step, first.last_step, first.ce) == ("safe", 301, 330, pytest.approx(4.75))
    assert (second.word, second.ce) == ("safe", pytest.approx(4.45))
    assert largest_safe([first, second]) == 0.3
    assert held([first, second]) is None


@pytest.mark.parametrize(
    ("ces", "words"),
    [
        ((5.0, 5.0, 5.0, 6.0), ["safe", "open"]),  # ten steps at a weight are too few to judge it by
        ((5.0, 5.0, 5.0, 5.4, 6.0), ["safe", "open"]),  # 5.7 is not over the limit
        ((5.0, 5.0, 5.0, 5.4, 6.1), ["safe", "held"]),
        ((5.0, 5.0, 5.0, math.nan), ["safe", "held"]),  # what is no number is over at once
        ((5.6, 5.9), ["held"]),
    ],
)
def test_ce_over_the_limit_holds_the_weight(ces: tuple[float, ...], words: list[str]) -> None:
    facts = stretches(*[(310 + 10 * n, 0.1 if n < 3 else 0.3, ce) for n, ce in enumerate(ces)])
    stages = read_stages(PLAN, facts)
    assert [stage.word for stage in stages] == words
    assert largest_safe(stages) == (0.1 if words[0] == "safe" else None)


def test_after_a_hold_it_goes_on_at_the_last_safe_weight() -> None:
    facts = stretches((310, 0.1, 5.0), (320, 0.1, 5.0), (330, 0.1, 5.0), (340, 0.3, 6.0), (350, 0.3, 6.0))
    stages = read_stages(PLAN, [*facts, *stretches((360, 0.1, 9.0))])
    assert [(stage.weight, stage.word) for stage in stages] == [(0.1, "safe"), (0.3, "held"), (0.1, "back")]
    assert largest_safe(stages) == 0.1


def test_a_weight_of_few_steps_is_judged_by_them() -> None:
    plan = HandoverPlanFacts(step=300, weights=(0.1,), ends=(305,), limit=5.7)
    assert read_stages(plan, stretches((305, 0.1, 5.8), steps=5))[0].word == "held"
    assert read_stages(plan, stretches((305, 0.1, 5.6), steps=5))[0].word == "safe"


def test_shares_and_gradients_are_means_of_what_was_measured() -> None:
    facts = [
        fact.model_copy(update={"rows": 20, "rows_without_positive": n, "rows_with_one_positive": 10, **pull})
        for n, (fact, pull) in enumerate(
            zip(
                stretches((310, 0.1, 5.0), (320, 0.1, 5.0), (330, 0.1, 5.0)),
                ({"cosine": 0.2, "norm_ratio": 8.0}, {}, {"cosine": -0.4, "norm_ratio": 4.0}),
                strict=True,
            )
        )
    ]
    (stage,) = read_stages(PLAN, facts)
    assert (stage.without_positive, stage.one_positive) == (pytest.approx(0.05), 0.5)
    assert (stage.cosine, stage.norm_ratio, stage.measured) == (pytest.approx(-0.1), 6.0, 2)
