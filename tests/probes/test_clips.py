"""How frames stand in a batch, as graph and labels tell it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reid_smoke.probes.clips import Order, in_other_order, order_of, orders_in

B, T, D = 6, 4, 5
SIDE_BY_SIDE, BY_TURNS = Order(T, side_by_side=True), Order(T, side_by_side=False)
ATTENTION, RECURRENT = nn.Linear(D, 1), nn.GRU(D, D, batch_first=True)


def attended(frames: Tensor) -> Tensor:
    frames = frames.view(B, T, D)
    return (ATTENTION(frames).softmax(1) * frames).sum(1)


GATHERED: dict[str, tuple[Callable[[Tensor], Tensor], Order | None]] = {
    "mean": (lambda f: f.view(B, T, D).mean(1), SIDE_BY_SIDE),
    "mean by turns": (lambda f: f.view(T, B, D).mean(0), BY_TURNS),
    "largest": (lambda f: f.reshape(B, T, D).amax(1), SIDE_BY_SIDE),
    "attention": (attended, SIDE_BY_SIDE),
    "recurrent, frame by frame": (lambda f: RECURRENT(f.view(B, T, D))[0].mean(1), None),
    "batch norm behind": (lambda f: nn.BatchNorm1d(D)(f.view(B, T, D).mean(1)), SIDE_BY_SIDE),
    "the labelled first rows": (lambda f: f[:B], None),
    "two of a pair": (lambda f: f.view(B, T, D)[:, 0] - f.view(B, T, D)[:, 1], None),
    "in another order": (lambda f: f.view(B, T, D).mean(1)[torch.randperm(B)], None),
    "both ways": (lambda f: f.view(B, T, D).mean(1) + f.view(T, B, D).mean(0), None),
}


@pytest.mark.parametrize(("gather", "order"), GATHERED.values(), ids=GATHERED)
def test_the_graph_tells_how_frames_were_gathered(gather: Callable[[Tensor], Tensor], order: Order | None) -> None:
    frames = torch.randn(B * T, 3, 2, 2).flatten(1) @ torch.randn(12, D, requires_grad=True)
    assert order_of(gather(frames).grad_fn, images=B * T, labels=B) == order


def test_as_many_frames_as_clips_could_be_either() -> None:
    frames = torch.randn(T * T, D, requires_grad=True) * 2
    assert order_of(frames.view(T, T, D).mean(1).grad_fn, images=T * T, labels=T) is None


def test_the_mean_of_each_clip() -> None:
    clips = torch.randn(B, T, D)
    assert torch.allclose(SIDE_BY_SIDE.means(clips.flatten(0, 1)), clips.mean(1), atol=1e-6)
    assert torch.allclose(BY_TURNS.means(clips.transpose(0, 1).flatten(0, 1)), clips.mean(1), atol=1e-6)


@pytest.mark.parametrize("order", [SIDE_BY_SIDE, BY_TURNS])
def test_labels_tell_how_they_were_repeated(order: Order) -> None:
    labels = np.array([3, 1, 4, 0, 5, 9])
    repeated = order.repeat(labels)
    assert order in orders_in(repeated)
    assert in_other_order(order, repeated).tolist() == order.other.repeat(labels).tolist()


def test_labels_of_single_images_were_not_repeated() -> None:
    labels = np.array([3, 1, 4, 1, 5, 9, 2, 6])
    assert orders_in(labels) == []
    assert len(set(in_other_order(SIDE_BY_SIDE, labels).tolist())) == len(labels)
