"""What of a loss has no graph, told by what the graph keeps of the rest."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from reid_smoke.probes.summands import without_gradient

FEATURE = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


def hinge() -> Tensor:
    apart = (FEATURE.clone().requires_grad_() * 2.0).sum(1)
    return F.margin_ranking_loss(apart, torch.zeros(6), torch.ones(6), margin=0.3)


def relu() -> Tensor:
    return F.relu((FEATURE.clone().requires_grad_() ** 2).sum(1) - 1).mean()


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [
        (lambda: torch.tensor(3.0) + hinge(), 3.0),
        (lambda: relu() * 0.5 + torch.tensor(4.0) + hinge(), 4.0),
        (lambda: (torch.tensor(2.0) + relu()) / 2, 1.0),
        (lambda: sum([hinge(), relu()]), 0.0),
        (hinge, 0.0),
    ],
)
def test_what_was_added_without_a_graph(loss, wanted: float) -> None:  # type: ignore[no-untyped-def]
    whole = loss()
    assert without_gradient(whole.grad_fn, whole.detach()) == pytest.approx(wanted, abs=1e-5)


def test_what_the_graph_does_not_keep_is_not_told() -> None:
    whole = torch.tensor(3.0) + (FEATURE.clone().requires_grad_() ** 2).mean()
    assert without_gradient(whole.grad_fn, whole.detach()) is None
