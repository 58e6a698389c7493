"""The trend tests against their definitions, written out the slow way."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import erf, inf, nan, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid_smoke.trend import block_means, falling_p, noise, slope, standard_error

CE = st.floats(0, 20).map(lambda x: round(x, 3))
curves = st.lists(CE, min_size=4, max_size=60)


def means_one_by_one(values: Sequence[float], blocks: int = 10) -> list[float]:
    count = min(blocks, len(values))
    inside: list[list[float]] = [[] for _ in range(count)]
    for place, value in enumerate(values):
        # The block whose rounded edges enclose this place.
        block = next(i for i in range(count) if place < round((i + 1) * len(values) / count))
        inside[block].append(value)
    return [sum(block) / len(block) for block in inside]


def mann_kendall(x: Sequence[float]) -> float:
    n, s = len(x), 0
    for i in range(n):
        for j in range(i + 1, n):
            if x[j] > x[i]:
                s += 1
            if x[j] < x[i]:
                s -= 1
    z = 0.0
    if s < 0:
        z = (s + 1) / sqrt(n * (n - 1) * (2 * n + 5) / 18)
    if s > 0:
        z = (s - 1) / sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return (1 + erf(z / sqrt(2))) / 2


def theil_sen(x: Sequence[float]) -> float:
    slopes = sorted((x[j] - x[i]) / (j - i) for i in range(len(x)) for j in range(i + 1, len(x)))
    half = len(slopes) // 2
    return slopes[half] if len(slopes) % 2 else (slopes[half - 1] + slopes[half]) / 2


@given(curves)
def test_block_means_are_those_of_blocks_filled_one_by_one(values: list[float]) -> None:
    assert block_means(values) == pytest.approx(means_one_by_one(values))


@given(curves)
def test_falling_p_is_mann_kendall_on_blocks(values: list[float]) -> None:
    assert falling_p(values) == pytest.approx(mann_kendall(block_means(values)), abs=1e-12)


@given(curves)
def test_slope_is_theil_sen_on_blocks(values: list[float]) -> None:
    means = block_means(values)
    assert slope(values) == pytest.approx(theil_sen(means) * len(means) / len(values), abs=1e-9)


@given(curves)
def test_a_curve_read_backwards_has_the_opposite_trend(values: list[float]) -> None:
    values = values[: len(values) // 10 * 10] or values[:9]  # blocks of equal length, the same from either end
    assert falling_p(values) + falling_p(values[::-1]) == pytest.approx(1.0)
    assert slope(values[::-1]) == pytest.approx(-(slope(values) or 0.0), abs=1e-9)


@given(st.floats(-0.1, 0.1), st.integers(20, 300))
def test_slope_of_a_line_is_its_slope_per_step(per_step: float, steps: int) -> None:
    # Blocks differ in length by one value at most, and so does the distance of their middles.
    assert slope([6 + per_step * i for i in range(steps)]) == pytest.approx(per_step, rel=0.3)


def test_a_fall_has_a_small_p_and_a_rise_a_large_one() -> None:
    fall = [6 - 0.01 * i for i in range(100)]
    assert falling_p(fall) < 1e-4
    assert falling_p(fall[::-1]) > 0.999
    assert falling_p([5.99] * 100) == 0.5


@pytest.mark.parametrize("values", [[], [6.0], [6.0, 5.0, 4.0], [6.0, 5.0, nan, 3.0], [6.0, 5.0, 4.0, -inf]])
def test_too_few_or_no_numbers_prove_no_fall(values: list[float]) -> None:
    assert falling_p(values) == 1.0


@pytest.mark.parametrize("values", [[], [6.0], [6.0, nan], [inf, 6.0, 5.0]])
def test_too_few_or_no_numbers_have_no_slope(values: list[float]) -> None:
    assert slope(values) is None


def test_standard_error_counts_slow_wander_in() -> None:
    wander = [6.0] * 50 + [5.0] * 50
    # Ten block means, five of each: variance 10 * 0.25 / 9, over 10.
    assert standard_error(wander) == pytest.approx(sqrt(10 * 0.25 / 9 / 10))
    assert standard_error([6.0]) == inf


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.floats(-0.02, 0.02))
def test_noise_is_that_of_single_values_whatever_the_trend(seed: int, per_step: float) -> None:
    draw = random.Random(seed)
    assert noise([6 + per_step * i + draw.gauss(0, 0.5) for i in range(2000)]) == pytest.approx(0.5, rel=0.15)
