"""A teacher that one module holds beside its student is frozen on purpose, however new its weights are."""

from __future__ import annotations

from copy import deepcopy

import pytest
from torch import nn

from reid_smoke.checks.catalogue import rank
from reid_smoke.probes.freshness import Frozen
from tests.checks.tiny import run_tiny
from tests.probes.test_statistics import StandsStill


class Named(nn.Module):
    def __init__(self, **children: nn.Module) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)


def body() -> nn.Module:
    return nn.Sequential(nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32), nn.Conv2d(32, 32, 3))


def frozen_weights(model: nn.Module) -> int:
    facts = Frozen().facts([*model.named_parameters()], step=1)
    return facts.weights if facts is not None else 0


@pytest.mark.parametrize("held_deeper", [False, True])
def test_a_copy_of_what_is_trained_is_left_out(held_deeper: bool) -> None:
    student = body()
    both: nn.Module = Named(student=student, teacher=deepcopy(student).requires_grad_(False))
    assert frozen_weights(Named(net=both) if held_deeper else both) == 0


def test_a_frozen_backbone_is_no_copy_of_another_part() -> None:
    backbone = body().requires_grad_(False)
    assert frozen_weights(Named(backbone=backbone, classifier=nn.Linear(32, 100))) == 2


def test_the_head_lr_is_named_and_not_the_teacher() -> None:
    _, judgement = run_tiny(StandsStill())
    assert rank(judgement.results)[0].check.code == "RS401"
