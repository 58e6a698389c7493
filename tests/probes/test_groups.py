"""Which group of an optimizer holds a parameter: remembered, and true all the same when groups change."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from reid_smoke.probes.groups import Places, group_of


def parameters(count: int) -> list[nn.Parameter]:
    return [nn.Parameter(torch.zeros(1)) for _ in range(count)]


@given(st.lists(st.integers(0, 2), min_size=3, max_size=12), st.lists(st.integers(0, 11), max_size=6))
def test_it_agrees_with_a_search(group_of_each: list[int], moved: list[int]) -> None:
    """Parameters are moved from group to group meanwhile, and taken out."""
    held = parameters(len(group_of_each))
    groups = [{"params": [p for p, at in zip(held, group_of_each, strict=True) if at == g], "lr": g} for g in range(3)]
    optimizer = torch.optim.SGD([{**g, "params": g["params"] or [nn.Parameter(torch.zeros(1))]} for g in groups], lr=1)
    places = Places()
    for move in [None, *moved]:
        if move is not None:
            parameter = held[move % len(held)]
            for group in optimizer.param_groups:
                group["params"] = [p for p in group["params"] if p is not parameter]
            if move % 2:
                optimizer.param_groups[move % 3]["params"].insert(0, parameter)
        for parameter in held:
            assert places.group_of(optimizer, parameter) is group_of(optimizer, parameter)


def test_no_parameter_is_in_no_group() -> None:
    optimizer = torch.optim.SGD(parameters(1), lr=1)
    assert Places().group_of(optimizer, None) is None
    assert not Places().holds_any(optimizer, parameters(2))


def test_of_many_optimizers_each_is_told_apart() -> None:
    """More than are remembered: a loop may make an optimizer a step."""
    places, held = Places(), parameters(1)[0]
    optimizers = [torch.optim.SGD([held], lr=1) for _ in range(3 * Places.MOST)]
    for optimizer in [*optimizers, *optimizers]:
        assert places.group_of(optimizer, held) is optimizer.param_groups[0]
