from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid_smoke.build.data.samplers import PKSampler, RandomSampler, RankSampler
from reid_smoke.errors import DataError


@given(images=st.integers(1, 200), batch_size=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_random_yields_what_it_promises_and_each_image_once(images: int, batch_size: int, seed: int) -> None:
    if images < batch_size:
        with pytest.raises(DataError, match=f"there are {images} images"):
            RandomSampler(images, batch_size, seed)
        return
    sampler = RandomSampler(images, batch_size, seed)
    batches = [plan.indices for plan in sampler]
    assert len(batches) == len(sampler) == images // batch_size
    assert all(len(batch) == batch_size for batch in batches)
    flat = [index for batch in batches for index in batch]
    assert len(set(flat)) == len(flat)
    assert set(flat) <= set(range(images))


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=25),
    p=st.integers(2, 8),
    k=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_pk_yields_what_it_promises(counts: list[int], p: int, k: int, seed: int) -> None:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    if len(counts) < p:
        with pytest.raises(DataError, match=f"draws {p} identities a batch, and the data has {len(counts)}"):
            PKSampler(labels, p, k, seed)
        return
    if k > 1 and max(counts) == 1:
        with pytest.raises(DataError, match=f"draws {k} images of each identity, and not one .* has two"):
            PKSampler(labels, p, k, seed)
        return
    sampler = PKSampler(labels, p, k, seed)
    batches = [plan.indices for plan in sampler]
    assert len(batches) == len(sampler) >= 1
    for batch in batches:
        per_identity = Counter(labels[index] for index in batch)
        assert len(per_identity) == p
        assert set(per_identity.values()) == {k}
    turns = Counter(labels[index] for batch in batches for index in batch)
    assert all(turns[label] <= k * max(1, count // k) for label, count in enumerate(counts))
    seen = Counter(index for batch in batches for index in batch)
    assert all(seen[index] <= 1 for index in seen if counts[labels[index]] >= k)  # repeated only where it has to be
    # No other choice of identities would have made one batch more.
    possible = [max(1, count // k) for count in counts]
    assert sum(min(turn, len(sampler) + 1) for turn in possible) < p * (len(sampler) + 1)


def test_pk_goes_through_every_identity_when_they_are_even() -> None:
    labels = [label for label in range(12) for _ in range(8)]
    batches = [plan.indices for plan in PKSampler(labels, 4, 4, seed=1)]
    assert sorted(index for batch in batches for index in batch) == list(range(96))


@pytest.mark.parametrize("kind", ["random", "pk"])
def test_epochs_differ_and_a_seed_repeats_them(kind: str) -> None:
    def sampler(seed: int) -> RandomSampler | PKSampler:
        return RandomSampler(64, 8, seed) if kind == "random" else PKSampler([i // 4 for i in range(64)], 4, 2, seed)

    first, again, other = sampler(1), sampler(1), sampler(2)
    epoch_1, epoch_2 = list(first), list(first)
    assert epoch_1 != epoch_2
    assert [list(again), list(again)] == [epoch_1, epoch_2]
    assert list(other) != epoch_1
    assert len({plan.seed for plan in epoch_1 + epoch_2}) == len(epoch_1) + len(epoch_2)


@given(
    images=st.integers(1, 120), batch_size=st.integers(1, 10), ranks=st.integers(2, 5), seed=st.integers(0, 2**32 - 1)
)
def test_the_ranks_share_an_epoch(images: int, batch_size: int, ranks: int, seed: int) -> None:
    if images // batch_size < ranks:
        with pytest.raises(DataError):
            RankSampler(RandomSampler(max(images, batch_size), batch_size, seed), 0, ranks)
        return
    shares = [RankSampler(RandomSampler(images, batch_size, seed), rank, ranks) for rank in range(ranks)]
    for _epoch in range(2):
        plans = [list(share) for share in shares]
        assert (
            [len(share) for share in plans]
            == [len(share) for share in shares]
            == [images // batch_size // ranks] * ranks
        )
        flat = [index for share in plans for plan in share for index in plan.indices]
        assert len(set(flat)) == len(flat)
        assert len({plan.seed for share in plans for plan in share}) == sum(map(len, plans))
