import math

import pytest
import torch
from torch.nn import functional as F

from reid_smoke.build import losses
from reid_smoke.build.losses import TrainingLoss
from reid_smoke.build.model import BNNeckOutput
from reid_smoke.build.sdm import sdm_loss
from reid_smoke.errors import UsageError


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
