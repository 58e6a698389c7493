"""How the gradients of two losses lie to each other, against gradients taken one by one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from reid_smoke.probes.two_losses import compare_pulls


def test_by_hand_over_the_shared_parameters_alone() -> None:
    shared, of_first, frozen = (nn.Parameter(torch.ones(2)) for _ in range(3))
    frozen.requires_grad_(False)
    first = (shared * torch.tensor([3.0, 4.0])).sum() + 100 * of_first.sum()  # its gradient: (3, 4)
    second = (shared * frozen * torch.tensor([10.0, 0.0])).sum()  # (10, 0)
    pull = compare_pulls(first, second, [shared, of_first, frozen])
    assert (pull.cosine, pull.norm_ratio, pull.shared) == (pytest.approx(0.6), pytest.approx(2.0), 1)
    assert shared.grad is None  # nothing is added to what the training adds up
    (first + second).backward()  # and the graph is still there
    assert torch.equal(shared.grad, torch.tensor([13.0, 4.0]))


def test_it_is_what_two_backward_passes_give() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    inputs = torch.randn(4, 5)

    def gradient(power: int) -> torch.Tensor:
        model.zero_grad()
        (model(inputs) ** power).sum().backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).double()

    a, b = gradient(2), gradient(4)
    output = model(inputs)
    pull = compare_pulls((output**2).sum(), (output**4).sum(), model.parameters())
    assert pull.cosine == pytest.approx((a @ b / (a.norm() * b.norm())).item(), rel=1e-6)
    assert pull.norm_ratio == pytest.approx((b.norm() / a.norm()).item(), rel=1e-6)


@pytest.mark.parametrize("second", [0.0, math.inf])
def test_no_gradient_has_no_direction(second: float) -> None:
    parameter = nn.Parameter(torch.ones(2))
    pull = compare_pulls(parameter.sum(), second * parameter.sum(), [parameter])
    assert math.isnan(pull.cosine)
    assert math.isnan(pull.norm_ratio)
