"""The rule on hand-made curves: what passes, what is slow, what is flat, and that noise never falls."""

from __future__ import annotations

import random
from collections.abc import Iterable
from math import exp, inf, log, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_smoke.facts import DatasetFacts, GraphFacts, RunFacts, StepFacts
from reid_smoke.rule import Curve, crossing_step, read_curve

BATCH = 64


def dataset(classes: int = 400, identities: int | None = None) -> DatasetFacts:
    return DatasetFacts(
        source="made up",
        images=8 * classes,
        identities=identities or classes,
        cameras=2,
        num_classes=classes,
        label_min=0,
        label_max=(identities or classes) - 1,
        labels_out_of_range=0,
        images_per_identity=(8, 8, 8),
    )


def step(number: int, ce: float, batch: int = BATCH) -> StepFacts:
    unmeasured = {name: nan for name, field in StepFacts.model_fields.items() if field.annotation is float}
    plain = unmeasured | {
        "step": number, "step_in_epoch": number, "ce": ce, "loss": ce, "top1": 0.0, "batch": batch, "label_min": 0,
        "label_max": 399, "distinct_labels": batch, "lr_head": 1e-2, "lr_backbone": 1e-5, "applied": True,
        "events": "bsz",
    }  # fmt: skip
    return StepFacts.model_validate(plain)


def curve(
    ces: Iterable[float],
    *,
    classes: int = 400,
    window: tuple[int, int] = (200, 300),
    batch: int = BATCH,
    max_ce: float | None = None,
) -> Curve:
    run = RunFacts(way_in="run", name="made", window=window, max_ce=max_ce)
    return read_curve(run, dataset(classes), None, [step(i, ce, batch) for i, ce in enumerate(ces, start=1)])


def line(start: float, end: float, steps: int = 300, sd: float = 0.0, seed: int = 0) -> list[float]:
    draw = random.Random(seed)
    return [start + (end - start) * i / (steps - 1) + draw.gauss(0, sd) for i in range(steps)]


def test_chance_and_bar_for_400_identities() -> None:
    rule = curve([]).rule
    assert rule.chance_ce == pytest.approx(5.99, abs=0.005)
    assert rule.max_ce == pytest.approx(5.60, abs=0.005)
    assert exp(rule.max_ce or 0) == pytest.approx(270, abs=1)  # identities still in play at the bar


@given(st.integers(2, 100_000))
def test_the_bar_rules_out_a_third_of_any_number_of_identities(classes: int) -> None:
    rule = curve([], classes=classes).rule
    assert rule.chance_ce == pytest.approx(log(classes))
    assert exp(rule.max_ce or 0) / classes == pytest.approx(2 / 3, abs=0.02)


def test_the_users_bar_goes_first() -> None:
    assert curve([], max_ce=4.2).rule.max_ce == 4.2


@pytest.mark.parametrize("classes", [0, 1])
def test_without_two_identities_there_is_no_chance_and_no_verdict(classes: int) -> None:
    made = curve(line(1.0, 0.0), classes=classes)
    assert (made.rule.chance_ce, made.rule.max_ce, made.word) == (None, None, "short")


def test_a_fall_under_the_bar_passes() -> None:
    made = curve(line(5.99, 2.3, sd=0.3))
    assert made.word == "passes"
    assert made.ce.window_mean == pytest.approx(3.0, abs=0.2)
    assert made.ce.trend_per_100_steps == pytest.approx(-3.69 / 3, abs=0.1)


def test_a_curve_that_fell_at_once_and_then_lies_low_passes() -> None:
    draw = random.Random(1)
    assert curve([max(0.4, 5.99 - 0.6 * i) + draw.gauss(0, 0.1) for i in range(300)]).word == "passes"


def test_low_from_the_start_is_a_training_that_was_resumed() -> None:
    """Its head was learnt before; it need not fall again. Just under the bar, within the noise of it, says nothing."""
    assert curve(line(2.0, 2.0, sd=0.2)).word == "passes"
    assert curve(line(5.57, 5.57, sd=0.2)).word == "flat"


@pytest.mark.parametrize("spread", [0.02, 0.1, 0.3, 1.0, 2.0])
@pytest.mark.parametrize(("steps", "window"), [(300, (200, 300)), (50, (30, 50)), (40, (37, 40))])
def test_noise_about_chance_hardly_ever_falls(spread: float, steps: int, window: tuple[int, int]) -> None:
    """Under 1 % of seeds, at any spread of a batch's CE and for windows that hold a hundred steps or four."""
    seeds = range(300)
    # Four looks are had by then, so that nothing but the fall itself decides.
    words = [curve(line(5.99, 5.99, steps, spread, s), window=window, batch=400).word for s in seeds]
    assert sum(word in ("slow", "passes") for word in words) < 0.01 * len(seeds)


def test_a_slow_true_fall_is_seen() -> None:
    """A fifth of a nat over 300 steps, under noise half as large."""
    words = [curve(line(5.99, 5.79, sd=0.1, seed=seed)).word for seed in range(50)]
    assert sum(word == "slow" for word in words) > 0.9 * len(words)


def test_slow_says_where_it_would_cross() -> None:
    made = curve(line(5.99, 5.79))  # 0.2 nats in 299 steps: 0.39 of them after 583
    assert made.word == "slow"
    assert crossing_step(made) == pytest.approx(1 + 0.39 / (0.2 / 299), rel=0.02)


def test_what_does_not_fall_never_crosses() -> None:
    assert crossing_step(curve(line(5.99, 6.5))) is None
    assert crossing_step(curve([5.99] * 300)) is None


def test_a_climb_above_the_start_rises() -> None:
    assert curve(line(5.99, 9.0, sd=0.3)).word == "rises"


def test_a_fall_from_far_above_chance_back_to_it_is_no_pass() -> None:
    assert curve(line(9.0, 5.99)).word == "slow"


def test_a_fall_from_a_rough_start_that_ends_at_chance_is_flat() -> None:
    made = [log(400) + 0.05 + exp(-i / 40) + draw for i, draw in enumerate(line(0.0, 0.0, sd=0.1))]
    assert curve(made).word == "flat"


def test_a_rise_after_a_first_drop_is_no_fall_by_trend() -> None:
    """0.05 nats under the start, and climbing since: the mean lies lower, but the trend goes up."""
    assert curve([6.0] * 15 + line(5.6, 5.95, 285)).word == "flat"


@pytest.mark.parametrize("bad", [nan, inf])
def test_a_window_without_numbers_is_broken(bad: float) -> None:
    assert curve([*line(5.99, 3.0, 250), *[bad] * 50]).word == "broken"


def test_one_bad_number_ahead_of_the_window_is_no_pass() -> None:
    ces = line(5.99, 2.3)
    ces[100] = nan
    assert curve(ces).word != "passes"


@pytest.mark.parametrize("steps", [0, 1, 199, 299])
def test_before_its_end_the_window_says_nothing(steps: int) -> None:
    assert curve(line(5.99, 2.3)[:steps]).word == "short"


def test_a_handful_of_steps_says_nothing_whatever_the_window() -> None:
    assert curve([3.0, 0.1], window=(1, 2)).word == "short"
    assert curve(line(5.99, 1.0, 9), window=(5, 9)).word == "short"
    assert curve(line(5.99, 1.0, 10), window=(5, 10)).word == "passes"


def test_a_fall_with_few_looks_moves_the_window_to_four() -> None:
    # 4101 identities at batch 16: 300 steps are 1.2 looks, four looks are 1026 steps.
    made = curve(line(log(4101), log(4101) - 0.2, sd=0.01), classes=4101, batch=16)
    assert made.word == "short"
    assert made.rule.moved_from == (200, 300)
    assert made.rule.window == (926, 1026)
    later = curve(line(log(4101), log(4101) - 0.8, 1026, sd=0.01), classes=4101, batch=16)
    assert later.rule.window == (926, 1026)
    assert later.rule.looks == pytest.approx(4, abs=0.01)
    assert later.word == "passes"


def test_flat_at_chance_is_judged_whatever_the_looks() -> None:
    made = curve(line(log(4101), log(4101), sd=0.02), classes=4101, batch=16)
    assert (made.word, made.rule.moved_from) == ("flat", None)


def test_under_the_bar_the_window_stays_whatever_the_looks() -> None:
    made = curve(line(log(4101), log(4101) - 1.5, sd=0.02), classes=4101, batch=16)
    assert (made.word, made.rule.moved_from) == ("passes", None)


def test_chance_of_overfit_is_among_the_identities_of_its_samples() -> None:
    run = RunFacts(way_in="overfit", name="made", window=(37, 40))
    graph = GraphFacts(
        step=1, num_classes=400, head="w", head_trainable=True, logit_path=(), feature_path=(), fed_by="batch_norm",
        reached=1, trainable=1, backbone_reached=1, backbone_trainable=1,
    )  # fmt: skip
    rule = read_curve(run, dataset(400, identities=64), graph, []).rule
    assert rule.num_classes == 64
    assert rule.chance_ce == pytest.approx(log(64))


def test_the_width_of_the_logits_goes_before_what_the_data_promised() -> None:
    graph = GraphFacts(
        step=1, num_classes=751, head="w", head_trainable=True, logit_path=(), feature_path=(), fed_by="batch_norm",
        reached=1, trainable=1, backbone_reached=1, backbone_trainable=1,
    )  # fmt: skip
    assert read_curve(RunFacts(way_in="run", name="made"), dataset(400), graph, []).rule.num_classes == 751
