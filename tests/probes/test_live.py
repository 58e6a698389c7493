"""What is alive is found without being told of it, each thing once."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from reid_smoke.probes.live import find_live


class PassesOn(torch.optim.Optimizer):
    """As trainers wrap the user's optimizer: the same groups under another name."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]
        return self.optimizer.param_groups


def test_a_wrapper_is_not_a_second_optimizer() -> None:
    weight = nn.Parameter(torch.zeros(3))
    inner, other = torch.optim.SGD([weight], lr=0.1), torch.optim.SGD([weight], lr=0.2)
    wrapper = PassesOn(inner)
    alive = find_live([weight]).optimizers
    assert any(o is inner for o in alive)
    assert any(o is other for o in alive)
    assert not any(o is wrapper for o in alive)
