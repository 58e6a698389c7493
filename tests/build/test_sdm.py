import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from reid_smoke import sdm_loss


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


def sdm_by_autograd(a, b, pids, scale):
    """The published formula in torch's own operations, whose gradient is autograd's."""
    similarity = scale * F.normalize(a, dim=1) @ F.normalize(b, dim=1).T
    same = (pids[:, None] == pids[None, :]).to(a.dtype)
    log_q = (same / same.sum(dim=1, keepdim=True) + 1e-8).log()
    both = [F.log_softmax(s, dim=1) for s in (similarity, similarity.T)]
    return sum((log_p.exp() * (log_p - log_q)).sum(dim=1).mean() for log_p in both)


@pytest.mark.parametrize("scale", [1.0, 50.0])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_its_gradient_is_that_of_the_formula(scale, dtype, error):
    torch.manual_seed(0)
    a, b = (torch.randn(12, 16, dtype=dtype, requires_grad=True) for _ in range(2))
    pids, learnt = torch.arange(12) // 3 % 3, torch.tensor(scale, dtype=dtype, requires_grad=True)
    found = torch.autograd.grad(0.3 * sdm_loss(a, b, pids, learnt), (a, b, learnt))
    expected = torch.autograd.grad(0.3 * sdm_by_autograd(a, b, pids, learnt), (a, b, learnt))
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours - theirs).norm() <= error * theirs.norm()
        assert theirs.norm() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_gradient_of_half_precision_features_is_half_precision(dtype):
    torch.manual_seed(0)
    a, b, pids = torch.randn(4, 8).to(dtype).requires_grad_(), torch.randn(4, 8).to(dtype), torch.tensor([0, 0, 1, 1])
    sdm_loss(a, b, pids).backward()
    assert a.grad.dtype == dtype
    assert a.grad.isfinite().all()
    assert a.grad.any()


def test_features_of_length_zero_give_numbers():
    zeros = torch.zeros(4, 3, requires_grad=True)
    sdm_loss(zeros, zeros, torch.tensor([0, 1, 0, 1])).backward()
    assert torch.equal(zeros.grad, torch.zeros(4, 3))


def test_a_gradient_of_the_gradient_is_refused():
    a = torch.randn(4, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="create_graph=True is refused"):
        torch.autograd.grad(sdm_loss(a, torch.randn(4, 3), torch.arange(4)), a, create_graph=True)
