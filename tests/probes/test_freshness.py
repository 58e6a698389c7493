"""Initialisations are known by their distribution, and what was trained is not taken for one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from reid_smoke.probes.freshness import frozen_facts

KERNEL = (128, 64, 3, 3)
DRAWN: dict[str, Callable[[Tensor], object]] = {
    "nn.Linear and nn.Conv2d": lambda w: nn.init.kaiming_uniform_(w, a=5**0.5),
    "Kaiming, fan out": lambda w: nn.init.kaiming_normal_(w, mode="fan_out"),
    "Xavier, uniform": nn.init.xavier_uniform_,
    "Xavier, normal": nn.init.xavier_normal_,
    "a fixed spread": lambda w: nn.init.normal_(w, std=0.001),
    "truncated": lambda w: nn.init.trunc_normal_(w, std=0.02),
}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("seed", range(5))
def test_what_was_drawn_is_known(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    weight = torch.empty(KERNEL)
    DRAWN[name](weight)
    facts = frozen_facts([("conv", weight)], step=1)
    assert facts is not None
    assert facts.fresh == 1


@pytest.mark.parametrize("name", DRAWN)
def test_what_moved_since_is_not(name: str) -> None:
    """Each filter at a size of its own, as training leaves them."""
    torch.manual_seed(0)
    weight = torch.empty(KERNEL)
    DRAWN[name](weight)
    weight *= torch.linspace(0.6, 1.6, KERNEL[0])[:, None, None, None]
    facts = frozen_facts([("conv", weight)], step=1)
    assert facts is not None
    assert facts.fresh == 0, facts


def test_what_is_trained_or_small_is_not_looked_at() -> None:
    assert frozen_facts([("head", nn.Parameter(torch.randn(64, 64))), ("norm", torch.ones(4096))], step=1) is None
