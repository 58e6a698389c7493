"""CE in the ways that people write it: each is seen, with its labels, its value and its sign."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from reid_smoke.probes.cross_entropy import read_batch, weight_of_ce
from reid_smoke.probes.graph import walk
from reid_smoke.probes.log_softmax import log_softmax_of
from reid_smoke.probes.nodes import follow

LABELS = torch.tensor([1, 9, 3, 0])
ROWS = torch.arange(4)


def picked(logits: Tensor) -> Tensor:  # (B, C) -> (B,)
    return logits.gather(1, LABELS[:, None]).squeeze(1)


def shifted(logits: Tensor) -> Tensor:
    logits = logits - logits.max(1, keepdim=True)[0]
    return (logits.exp().sum(1).log() - logits[ROWS, LABELS]).mean()


def not_zero(logits: Tensor) -> Tensor:
    """As pytorch-metric-learning's ProxyNCALoss has it: those are left out whose probability is 0, here none."""
    probabilities = (logits.softmax(1) * F.one_hot(LABELS, 10).float()).sum(1)
    there = probabilities != 0
    return (-probabilities[there].log() * torch.ones(4)[there]).mean()


def masked(logits: Tensor) -> Tensor:
    """As a hybrid memory has it: classes that hold nobody are left out, here none."""
    there = logits.exp() * torch.ones_like(logits).clone()
    return F.nll_loss((there / (there.sum(1, keepdim=True) + 1e-6) + 1e-6).log(), LABELS)


FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "cross_entropy": lambda x: F.cross_entropy(x, LABELS),
    "logsumexp less what is gathered": lambda x: (x.logsumexp(1) - picked(x)).mean(),
    "logsumexp less what is indexed": lambda x: (x.logsumexp(1) - x[ROWS, LABELS]).mean(),
    "the means apart": lambda x: x.logsumexp(1).mean() - picked(x).mean(),
    "minus what is gathered": lambda x: (-x.gather(1, LABELS[:, None]) + x.logsumexp(1, keepdim=True)).mean(),
    "a minus outside": lambda x: -(picked(x) - x.logsumexp(1)).mean(),
    "a cast on one side": lambda x: (x.double().logsumexp(1) - picked(x)).mean(),
    "exp, sum, log": lambda x: (x.exp().sum(1).log() - picked(x)).mean(),
    "shifted by the largest": shifted,
    "log of a picked probability": lambda x: -(x.softmax(1)[ROWS, LABELS] + 1e-12).log().mean(),
    "log of a clamped one": lambda x: -picked(x.softmax(1)).clamp(min=1e-9).log().mean(),
    "log of those that are not 0": not_zero,
    "a log-softmax by hand": lambda x: -picked(x - x.logsumexp(1, keepdim=True)).mean(),
    "nll_loss of a softmax with a mask": masked,
    "nll_loss of one": lambda x: F.nll_loss(x - x.logsumexp(1, keepdim=True), LABELS),
}


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["minimised", "maximised"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_ce_is_read_with_its_labels_and_its_sign(form: Callable[[Tensor], Tensor], sign: float) -> None:
    torch.manual_seed(0)
    weight, feature = torch.randn(10, 6, requires_grad=True), torch.randn(4, 6, requires_grad=True)
    logits = F.linear(feature, weight)
    root = (sign * form(logits)).grad_fn

    (found,) = walk(root).classifications
    consumer = follow(root, found.path)
    batch = read_batch(consumer)

    assert batch is not None
    assert batch.labels.tolist() == LABELS.tolist()
    assert batch.log_probs.numpy() == pytest.approx(logits.detach().log_softmax(1).numpy(), abs=1e-5)
    weighed = weight_of_ce(root, found.path)
    assert weighed is not None
    assert float(weighed) * sign > 0
    assert found.product_path is not None
    product = follow(log_softmax_of(consumer), found.product_path)
    assert product is not None
    assert product.name() == "MmBackward0"


@pytest.mark.parametrize("rows", [0, torch.tensor(0)], ids=["a number", "a tensor"])
def test_a_loss_divided_by_no_rows_is_infinite_and_nothing_is_raised(rows: int | Tensor) -> None:
    root = (F.cross_entropy(torch.randn(4, 10, requires_grad=True), LABELS) / rows).grad_fn

    (found,) = walk(root).classifications

    assert weight_of_ce(root, found.path) == math.inf


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: (x.logsumexp(1) - (2 * x)[ROWS, LABELS]).mean(),  # other logits are summed up than are picked from
        lambda x: x.softmax(1).gather(1, LABELS[:, None]).mean(),  # a router's gates
        lambda x: (x.logsumexp(1) + picked(x)).mean(),
        lambda x: (x - x.exp().sum(1, keepdim=True).log()).square().mean(),
    ],
)
def test_what_only_looks_like_it_is_left_alone(loss: Callable[[Tensor], Tensor]) -> None:
    logits = F.linear(torch.randn(4, 6), torch.randn(10, 6, requires_grad=True))
    assert walk(loss(logits).grad_fn).classifications == []


def test_a_class_that_is_masked_takes_no_share() -> None:
    logits = torch.randn(4, 10, requires_grad=True)
    mask = torch.ones_like(logits)
    mask[:, 5:9] = 0
    there = logits.exp() * mask
    root = F.nll_loss((there / (there.sum(1, keepdim=True) + 1e-6)).log(), LABELS).grad_fn

    (found,) = walk(root).classifications
    batch = read_batch(follow(root, found.path))

    assert batch is not None
    assert F.nll_loss(batch.log_probs, batch.labels).item() == pytest.approx(
        F.cross_entropy(logits.masked_fill(mask == 0, -1e9), LABELS).item(), rel=1e-4
    )
