"""mAP, Rank-1 and chance against slow versions that share nothing with them, and against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reid_smoke.retrieval.ranking import chance, rank


def slowly(
    similarity: list[list[float]], match: list[list[bool]], left_out: list[list[bool]]
) -> tuple[float, float, int]:
    """As a person with a list would do it: walk down the gallery and count."""
    precisions, firsts = [], []
    for scores, matches, out in zip(similarity, match, left_out, strict=True):
        shown = sorted((-score, place) for place, score in enumerate(scores) if not out[place])
        hits, summed, first = 0, 0.0, None
        for position, (_, place) in enumerate(shown, start=1):
            if matches[place]:
                hits += 1
                summed += hits / position
            first = matches[place] if first is None else first
        if hits:
            precisions.append(summed / hits)
            firsts.append(float(bool(first)))
    return sum(precisions) / len(precisions), sum(firsts) / len(firsts), len(precisions)


@st.composite
def galleries(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    queries, images = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    similarity = random.integers(0, 5, (queries, images)).astype(np.float32)  # few values: many ties
    match, left_out = random.random((queries, images)) < 0.4, random.random((queries, images)) < 0.3
    match[0, 0], left_out[0, 0] = True, False  # something to be found
    return similarity, match, left_out


@given(galleries())
def test_it_is_what_walking_down_the_list_gives(
    given_: tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]],
) -> None:
    similarity, match, left_out = given_
    expected = slowly(similarity.tolist(), match.tolist(), left_out.tolist())
    assert rank(*given_) == pytest.approx(expected)


def test_by_hand() -> None:
    # The gallery is sorted already: matches at places 1, 3 and, left out, 2.
    similarity = np.array([[0.9, 0.8, 0.7, 0.6]], dtype=np.float32)
    match = np.array([[True, True, False, True]])
    left_out = np.array([[False, True, False, False]])
    assert rank(similarity, match, left_out) == pytest.approx(((1 / 1 + 2 / 3) / 2, 1.0, 1))
    assert rank(-similarity, match, left_out) == pytest.approx(((1 / 1 + 2 / 3) / 2, 1.0, 1))
    assert rank(similarity, ~match, left_out) == pytest.approx((1 / 2, 0.0, 1))


def test_chance_is_what_shuffling_gives_on_average() -> None:
    random = np.random.default_rng(0)
    match, left_out = random.random((40, 15)) < 0.3, random.random((40, 15)) < 0.2
    drawn = [rank(random.random((40, 15)).astype(np.float32), match, left_out) for _ in range(400)]
    exact = chance(match, left_out)
    assert exact.queries == drawn[0].queries
    assert exact.mean_ap == pytest.approx(np.mean([each.mean_ap for each in drawn]), abs=0.005)
    assert exact.rank1 == pytest.approx(np.mean([each.rank1 for each in drawn]), abs=0.008)


def test_nothing_to_be_found() -> None:
    nobody = np.zeros((2, 3), dtype=bool)
    for ask in (lambda: rank(np.zeros((2, 3), dtype=np.float32), nobody, nobody), lambda: chance(nobody, nobody)):
        with pytest.raises(ValueError, match="no query has a match"):
            ask()
