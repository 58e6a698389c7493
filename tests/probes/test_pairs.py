"""Losses over pairs, written as the field writes them, and what only looks like them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reid_smoke.probes.pairs import picks_by_label

LABELS = torch.tensor([0, 1, 2, 3, 4, 5, 1, 6])
SAME = LABELS[:, None] == LABELS[None]
ITSELF = torch.eye(len(LABELS), dtype=torch.bool)
CAPTIONS = nn.Linear(16, 16)
INPUT = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))


def euclidean(feature: Tensor) -> Tensor:
    squares = feature.pow(2).sum(1, keepdim=True).expand(8, 8)
    return torch.addmm(squares + squares.t(), feature, feature.t(), beta=1, alpha=-2).clamp(min=1e-12).sqrt()


def multiplied(feature: Tensor) -> Tensor:
    unit, same = F.normalize(feature), SAME.float()
    distance = 2 - 2 * unit @ unit.t()
    return F.relu((distance * same).amax(1) - (distance * (1 - same) + 1e9 * same).amin(1) + 0.3).mean()


def row_by_row(feature: Tensor) -> Tensor:
    distance = euclidean(feature)
    far = torch.stack([distance[i][SAME[i]].max() for i in range(8)])
    near = torch.stack([distance[i][~SAME[i]].min() for i in range(8)])
    return F.margin_ranking_loss(near, far, torch.ones(8), margin=0.3)


def picked(feature: Tensor) -> Tensor:
    distance = euclidean(feature)
    return distance[SAME].mean() + F.relu(1 - distance[~SAME]).mean()


def filled(feature: Tensor) -> Tensor:
    distance = torch.cdist(feature, feature)
    return F.relu(distance.masked_fill(~SAME, 0).amax(1) - distance.masked_fill(SAME, 1e9).amin(1)).mean()


def chosen(feature: Tensor) -> Tensor:
    distance = (feature[:, None] - feature[None]).pow(2).sum(2)
    return F.relu(torch.where(SAME, distance, 0).amax(1) - torch.where(SAME, 1e9, distance).amin(1)).mean()


def contrastive(feature: Tensor) -> Tensor:
    unit = F.normalize(feature)
    log_probs = (unit @ unit.t()).masked_fill(ITSELF, -1e9).log_softmax(1)
    return -((SAME & ~ITSELF).float() * log_probs).sum(1).mean()


def apart_from_all(feature: Tensor) -> Tensor:
    return torch.cdist(feature, feature)[~ITSELF].mul(-2).exp().mean().log()


def image_and_text(feature: Tensor) -> Tensor:
    scores = F.normalize(feature) @ F.normalize(CAPTIONS(INPUT)).t()
    return -(SAME.float() * scores.log_softmax(1)).sum(1).mean()


def attention_among_them(feature: Tensor) -> Tensor:
    return ((feature @ feature.t()).softmax(1) @ feature).mean()


def found(loss: Callable[[Tensor], Tensor], labels: Tensor = LABELS) -> bool:
    torch.manual_seed(0)
    feature = nn.BatchNorm1d(16)(nn.Linear(16, 16)(INPUT))
    whole = F.cross_entropy(nn.Linear(16, 7)(feature), LABELS) + loss(feature)
    return picks_by_label(whole.grad_fn, labels)


@pytest.mark.parametrize("loss", [multiplied, row_by_row, picked, filled, chosen, contrastive])
def test_pairs_by_label(loss: Callable[[Tensor], Tensor]) -> None:
    assert found(loss)


@pytest.mark.parametrize("loss", [apart_from_all, image_and_text, attention_among_them, torch.mean])
def test_what_only_looks_like_it(loss: Callable[[Tensor], Tensor]) -> None:
    assert not found(loss)


@pytest.mark.parametrize("loss", [multiplied, apart_from_all, row_by_row])
def test_labels_that_are_all_different_tell_nothing(loss: Callable[[Tensor], Tensor]) -> None:
    assert not found(loss, torch.arange(8))
