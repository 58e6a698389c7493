import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from reid_smoke.build import losses
from reid_smoke.build.losses import TrainingLoss, sdm_loss
from reid_smoke.build.model import BNNeckOutput
from reid_smoke.errors import UsageError


def slow_sdm(a, b, pids, scale=50.0):
    """The published formula, number by number, in Python's double precision."""

    def unit(vector):
        norm = math.sqrt(sum(x * x for x in vector))
        return [x / norm for x in vector]

    a, b = [unit(v) for v in a], [unit(v) for v in b]
    total = 0.0
    for left, right in ((a, b), (b, a)):
        for i in range(len(pids)):
            scores = [scale * sum(x * y for x, y in zip(left[i], v, strict=True)) for v in right]
            highest = max(scores)
            log_sum = highest + math.log(sum(math.exp(s - highest) for s in scores))
            positives = sum(pid == pids[i] for pid in pids)
            for score, pid in zip(scores, pids, strict=True):
                q = (pid == pids[i]) / positives
                log_p = score - log_sum
                total += math.exp(log_p) * (log_p - math.log(q + 1e-8)) / len(pids)
    return total


vectors = st.lists(st.floats(-5, 5).filter(lambda x: abs(x) > 0.01), min_size=3, max_size=3)
batches = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.lists(vectors, min_size=n, max_size=n),
        st.lists(vectors, min_size=n, max_size=n),
        st.lists(st.integers(0, 3), min_size=n, max_size=n),
    )
)


@settings(max_examples=60, deadline=None)
@given(batches)
def test_sdm_is_the_published_formula_and_never_negative(batch):
    a, b, pids = batch
    double = sdm_loss(torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64), torch.tensor(pids))
    assert double.item() == pytest.approx(slow_sdm(a, b, pids), rel=1e-9, abs=1e-9)
    single = sdm_loss(torch.tensor(a), torch.tensor(b), torch.tensor(pids)).item()
    assert single == pytest.approx(double.item(), rel=1e-3, abs=1e-4)
    # What the 1e-8 beside q takes off at most, and what a double, and a float, round. As sdm_loss's docstring has it.
    assert double.item() >= -2e-8 * len(pids) - 1e-12
    assert single >= -2e-8 * len(pids) - 1e-6


def test_sdm_by_hand_two_identities_at_right_angles():
    eye = torch.eye(2, dtype=torch.float64)
    # scale 1: a row is p = (e, 1) / (e + 1), q = (1, 0), so KL = p0 (ln p0 - ln 1) + p1 (ln p1 - ln 1e-8)
    p0, p1 = math.e / (math.e + 1), 1 / (math.e + 1)
    by_hand = 2 * (p0 * math.log(p0) + p1 * (math.log(p1) - math.log(1e-8)))
    assert sdm_loss(eye, eye, torch.tensor([0, 1]), logit_scale=1.0).item() == pytest.approx(by_hand, abs=1e-6)


@pytest.mark.parametrize("identities", [1, 2])
@pytest.mark.parametrize("noise", [0.0, 1e-4, 1e-2])
def test_a_large_batch_of_near_twins_is_not_negative_beyond_that(identities, noise):
    """Here p is all but q, and every row's KL is a difference of nearly equal numbers."""
    generator = torch.Generator().manual_seed(identities)
    pids = torch.arange(64) % identities
    people = torch.randn(identities, 512, generator=generator)
    a, b = (people[pids] + noise * torch.randn(64, 512, generator=generator) for _ in range(2))
    assert sdm_loss(a, b, pids).item() >= -2e-8 * 64 - 1e-6
    assert sdm_loss(a.double(), b.double(), pids).item() >= -2e-8 * 64 - 1e-12


def test_sdm_by_hand_an_identity_of_two_and_one_of_one():
    eye = torch.eye(3, dtype=torch.float64)
    # scale ln 2: a row of p is 1/2 on the diagonal and 1/4 beside it, and ln 1e-8 = -18.4206807. Rows of the first two:
    # 1/2 ln(1/2 : 1/2) + 1/4 ln(1/4 : 1/2) + 1/4 (ln 1/4 + 18.4206807) = 0 - 0.1732868 + 4.2585966 = 4.0853098
    # The third: 2 * 1/4 (ln 1/4 + 18.4206807) + 1/2 ln(1/2 : 1) = 8.5171932 - 0.3465736 = 8.1706196
    by_hand = 2 * (4.0853098 + 4.0853098 + 8.1706196) / 3  # both directions are alike
    found = sdm_loss(eye, eye, torch.tensor([0, 0, 1]), logit_scale=math.log(2))
    assert found.item() == pytest.approx(by_hand, abs=1e-6)


def test_sdm_is_nothing_where_all_are_one_identity_and_alike():
    ones = torch.ones(4, 3)
    assert sdm_loss(ones, ones, torch.zeros(4, dtype=torch.int64)).item() == pytest.approx(0.0, abs=1e-6)


def test_sdm_stays_single_precision_under_autocast():
    torch.manual_seed(0)
    a, b, pids = torch.randn(8, 16), torch.randn(8, 16), torch.arange(8) // 2
    expected = sdm_loss(a, b, pids)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(sdm_loss(a, b, pids), expected)
        assert sdm_loss(a.half(), b.half(), pids).dtype == torch.float32


def output_of(logits, bn_feature=None):
    return BNNeckOutput(
        logits, torch.zeros(len(logits), 2), torch.zeros(len(logits), 2) if bn_feature is None else bn_feature
    )


@pytest.mark.parametrize(("weight", "times"), [(0.0, 0), (1e-9, 1), (0.5, 1)])
def test_sdm_is_computed_once_a_batch_and_at_weight_0_not_at_all(monkeypatch, weight, times):
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return sdm_loss(*arguments)

    monkeypatch.setattr(losses, "sdm_loss", counted)
    loss = TrainingLoss(sdm_weight=weight, instances=2)
    loss(output_of(torch.randn(4, 3), torch.randn(4, 8)), torch.tensor([0, 0, 1, 1]))
    assert len(calls) == times
    # The weight of one and the same loss is raised in a hand-over, and set back to 0 where none was safe.
    loss.sdm_weight = 0.0
    loss(output_of(torch.randn(4, 3), torch.randn(4, 8)), torch.tensor([0, 0, 1, 1]))
    assert len(calls) == times


def test_ce_alone_is_plain_cross_entropy():
    logits, labels = torch.randn(6, 5), torch.tensor([0, 1, 2, 3, 4, 0])
    loss = TrainingLoss(label_smoothing=0.0, sdm_weight=0.0)(output_of(logits), labels)
    by_hand = (
        -sum(
            math.log(math.exp(row[y]) / sum(map(math.exp, row))) for row, y in zip(logits.tolist(), labels, strict=True)
        )
        / 6
    )
    assert loss.item() == pytest.approx(by_hand, rel=1e-5)


def test_smoothing_at_chance_is_log_c_too():
    loss = TrainingLoss(label_smoothing=0.1)(output_of(torch.zeros(4, 400)), torch.tensor([0, 5, 399, 7]))
    assert loss.item() == pytest.approx(math.log(400))


@pytest.mark.parametrize(("instances", "rows_a", "rows_b"), [
    (2, [0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]),
    (4, [0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]),
    (3, [0, 3, 6, 9], [1, 4, 7, 10]),  # the third image of each identity has no partner
])  # fmt: skip
def test_sdm_compares_two_interleaved_views_of_each_identity(instances, rows_a, rows_b):
    torch.manual_seed(1)
    labels = torch.arange(12) // instances
    logits, bn_feature = torch.randn(12, 6), torch.randn(12, 4)
    loss = TrainingLoss(sdm_weight=0.5, instances=instances)(output_of(logits, bn_feature), labels)
    expected = F.cross_entropy(logits, labels) + 0.5 * sdm_loss(bn_feature[rows_a], bn_feature[rows_b], labels[rows_a])
    torch.testing.assert_close(loss, expected)
    assert torch.equal(labels[rows_a], labels[rows_b])


def test_sdm_of_one_image_an_identity_is_refused():
    with pytest.raises(UsageError, match="at least 2 images of an identity"):
        TrainingLoss(sdm_weight=1.0, instances=1)


def test_half_precision_logits_are_judged_in_single():
    logits = torch.randn(4, 1000)
    loss = TrainingLoss()(output_of(logits.bfloat16()), torch.arange(4))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, F.cross_entropy(logits.bfloat16().float(), torch.arange(4)))
