"""Rows of SDM by their positives, against a count in plain loops."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reid_smoke.probes.positives import count_positives


def slow(pids: list[int], pictures: tuple[list[int], list[int]] | None) -> tuple[int, int, int]:
    counts = []
    for rows, columns in ((0, 1), (1, 0)):
        for i, pid in enumerate(pids):
            others = [
                j
                for j, other in enumerate(pids)
                if other == pid and (pictures is None or pictures[rows][i] != pictures[columns][j])
            ]
            counts.append(len(others))
    return len(counts), counts.count(0), counts.count(1)


rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(rows, st.booleans())
def test_it_counts_as_loops_do(batch: list[tuple[int, int, int]], have_pictures: bool) -> None:
    pids, of_a, of_b = map(list, zip(*batch, strict=True))
    pictures = (torch.tensor(of_a), torch.tensor(of_b)) if have_pictures else None
    found = count_positives(torch.tensor(pids), pictures)
    assert tuple(map(int, found)) == slow(pids, (of_a, of_b) if have_pictures else None)


def test_a_picture_is_no_positive_of_itself() -> None:
    # Identity 5 has one picture, 11, that is drawn for both views; identity 6 has two.
    found = count_positives(torch.tensor([5, 6]), (torch.tensor([11, 20]), torch.tensor([11, 21])))
    assert tuple(map(int, found)) == (4, 2, 2)


def test_an_own_caption_is_a_positive() -> None:
    found = count_positives(torch.tensor([5, 6, 6]))
    assert tuple(map(int, found)) == (6, 0, 2)
