"""The likeness of images under one label, against a slow twin."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from reid_smoke.facts import LikenessFacts
from reid_smoke.probes.likeness import Likeness, alike, stripes


def slow_twin(descriptions: np.ndarray, labels: np.ndarray, batches: np.ndarray) -> tuple[int, float]:
    scaled = (descriptions - descriptions.mean(0)) / (descriptions.std(0) + 1e-6)
    pairs = [(i, j) for i, j in combinations(range(len(labels)), 2) if batches[i] != batches[j]]
    far = {(i, j): float(((scaled[i] - scaled[j]) ** 2).sum()) for i, j in pairs}
    same = [far[p] for p in pairs if labels[p[0]] == labels[p[1]]]
    others = [far[p] for p in pairs if labels[p[0]] != labels[p[1]]]
    return len(same), float(np.mean([[s < o for o in others] for s in same]))


def test_against_a_slow_twin() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 5, 60)
    described = (random.normal(size=(5, 6))[labels] + random.normal(size=(60, 6))).astype(np.float32)
    batches = np.arange(60) // 12
    pairs, auc = alike(described, labels, batches)
    wanted_pairs, wanted = slow_twin(described, labels, batches)
    assert pairs == wanted_pairs
    assert auc == pytest.approx(wanted, abs=1e-3)
    assert auc > 0.6


def test_labels_drawn_at_random_are_at_a_half() -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 20, 600)
    described = random.normal(size=(600, 8)).astype(np.float32)
    pairs, auc = alike(described, labels, np.arange(600) // 30)
    assert pairs > 5000
    assert auc == pytest.approx(0.5, abs=0.02)


def test_a_mirrored_image_is_described_alike() -> None:
    images = torch.rand(4, 3, 32, 16)
    assert torch.allclose(stripes(images), stripes(images.flip(-1)), atol=1e-5)
    assert stripes(images).shape == (4, 48)


def test_no_pair_says_nothing() -> None:
    likeness = Likeness()
    assert likeness.facts(1) is None
    likeness.add(torch.rand(3, 3, 8, 8), torch.arange(3))
    facts = likeness.facts(1)
    assert facts is not None
    assert (facts.images, facts.pairs) == (3, 0)
    assert np.isnan(facts.auc)


def test_labels_moved_within_the_batch_are_told_by_how_far() -> None:
    people = torch.rand(12, 3, 8, 1, generator=torch.Generator().manual_seed(2))
    likeness = Likeness()
    for seed in range(4):
        draw = torch.Generator().manual_seed(seed)
        labels = torch.randperm(12, generator=draw)
        images = people[labels] + 0.05 * torch.rand(12, 3, 8, 4, generator=draw)
        likeness.add(images, labels.roll(2))
    facts = likeness.facts(4)
    assert facts is not None
    assert (facts.shift, facts.batch_shift) == (-2, 0)
    assert facts.shifted_auc > 0.95
    assert facts.auc < 0.7


def test_labels_of_another_batch_are_told_and_batches_of_another_size_are_left_out() -> None:
    people = torch.rand(12, 3, 8, 1, generator=torch.Generator().manual_seed(2))
    likeness, before = Likeness(), torch.arange(12)
    for seed in range(6):
        draw = torch.Generator().manual_seed(seed)
        labels = torch.randperm(12, generator=draw)[: 5 if seed == 5 else 12]
        images = people[labels] + 0.05 * torch.rand(len(labels), 3, 8, 4, generator=draw)
        likeness.add(images, before[: len(labels)])
        before = labels
    facts = likeness.facts(6)
    assert facts is not None
    assert (facts.shift, facts.batch_shift) == (0, -1)
    assert facts.shifted_auc > 0.95
    assert facts.auc < 0.7


def of_two_epochs(move: int, *, same_head: bool = True) -> LikenessFacts:
    """Twelve people, whose labels move by so many from the first epoch to the second."""
    people = torch.rand(12, 3, 8, 1, generator=torch.Generator().manual_seed(2))
    likeness, heads = Likeness(), [torch.zeros(12, 4), torch.zeros(12, 4)]
    for seed in range(8):
        draw = torch.Generator().manual_seed(seed)
        later = seed > 3
        labels = torch.randperm(12, generator=draw)
        images = people[labels] + 0.05 * torch.rand(12, 3, 8, 4, generator=draw)
        head = heads[later and not same_head]
        likeness.add(images, (labels + later * move) % 12, epoch=1 + later, head=head)
    facts = likeness.facts(8)
    assert facts is not None
    return facts


def test_labels_that_mean_others_in_the_second_epoch() -> None:
    as_before, moved = of_two_epochs(0), of_two_epochs(5)
    assert (as_before.images, as_before.later_pairs) == (moved.images, moved.later_pairs) == (48, 16 * 12)
    assert as_before.later_auc > 0.95
    assert moved.later_auc < 0.6
    assert moved.auc > 0.95
    assert moved.later_own_auc > 0.95


def test_where_each_identity_comes_once_an_epoch_two_epochs_are_compared() -> None:
    people = torch.rand(12, 3, 8, 1, generator=torch.Generator().manual_seed(2))
    likeness, head = Likeness(), torch.zeros(12, 4)
    for epoch in (1, 2):
        draw = torch.Generator().manual_seed(epoch)
        for labels in torch.randperm(12, generator=draw).repeat_interleave(4).split(16):
            images = people[labels] + 0.05 * torch.rand(16, 3, 8, 4, generator=draw)
            likeness.add(images, labels.roll(1), epoch=epoch, head=head)
        facts = likeness.facts(epoch)
        assert facts is not None
        assert (facts.images, facts.pairs) == ((48, 0) if epoch == 1 else (96, 12 * 4 * 4))
    assert facts.shift == -1
    assert facts.shifted_auc > 0.95 > facts.auc


def test_the_first_epoch_is_the_one_in_which_images_are_seen() -> None:
    people = torch.rand(12, 3, 8, 1, generator=torch.Generator().manual_seed(2))
    likeness, head = Likeness(), torch.zeros(12, 4)
    assert likeness.wants_more(4)
    for seed in range(8):
        draw = torch.Generator().manual_seed(seed)
        labels = torch.randperm(12, generator=draw)
        images = people[labels] + 0.05 * torch.rand(12, 3, 8, 4, generator=draw)
        likeness.add(images, labels, feature=images.flatten(1), epoch=4 + seed // 4, head=head)
    facts = likeness.facts(9)
    assert facts is not None
    assert (facts.images, facts.later_pairs) == (48, 16 * 12)
    assert facts.batches == 0  # the features are no longer those of a network that has learnt nothing
    assert not likeness.wants_more(6)


def test_a_new_head_may_have_labels_of_its_own() -> None:
    assert of_two_epochs(5, same_head=False).later_pairs == 0
