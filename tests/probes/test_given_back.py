"""A load of a model's own weights, and loads that only look like one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reid_smoke.facts import WeightsFacts
from reid_smoke.probes.given_back import GivenBack


def told_of(module: nn.Module, *loads: dict[str, Tensor], assign: bool = False) -> WeightsFacts | None:
    """What is said after a file was read, and these state dicts were loaded one after the other."""
    probe = GivenBack()
    probe.file_read()
    for state in loads:
        probe.model_loads(module, state, "train.py:7")
        module.load_state_dict(state, strict=False, assign=assign)
    return probe.facts()


def test_its_own_weights_are_counted_and_named() -> None:
    module = nn.Linear(64, 32)
    facts = told_of(module, dict(module.state_dict()))
    assert facts is not None
    assert (facts.given_back, facts.missing, facts.by) == (2, 2, "script")
    assert facts.path == "load_state_dict of Linear at train.py:7"
    assert "uniform" in facts.examples[0]


def test_others_that_are_assigned_are_not_its_own() -> None:
    """The model's parameters are these very tensors afterwards."""
    assert told_of(nn.Linear(64, 32), dict(nn.Linear(64, 32).state_dict()), assign=True) is None


def test_one_that_came_is_enough() -> None:
    module = nn.Linear(64, 32)
    assert told_of(module, {**module.state_dict(), "bias": torch.zeros(32)}) is None


def test_a_later_load_that_brings_something_counts() -> None:
    module = nn.Linear(64, 32)
    assert told_of(module, dict(module.state_dict()), dict(nn.Linear(64, 32).state_dict())) is None


def test_names_of_another_model_are_not_its_own() -> None:
    """With strict=False nothing arrives, and load_state_dict says so itself."""
    assert told_of(nn.Linear(64, 32), {"module.weight": torch.zeros(32, 64)}) is None


def test_without_a_file_nothing_was_meant_to_arrive() -> None:
    probe, module = GivenBack(), nn.Linear(64, 32)
    probe.model_loads(module, module.state_dict(), "train.py:7")
    assert probe.facts() is None


def test_a_model_without_memory_has_nothing_to_compare() -> None:
    module = nn.Linear(64, 32, device="meta")
    assert told_of(module, dict(module.state_dict())) is None


def test_what_was_copied_into_its_own_has_arrived() -> None:
    module = nn.Linear(64, 32)
    own = dict(module.state_dict())
    own["weight"].copy_(torch.randn(32, 64) ** 3)  # longer tails than any initialisation has
    assert told_of(module, own) is None
