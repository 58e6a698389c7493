"""What is alive is found without being told of it, each thing once."""

from __future__ import annotations

import sys
import threading
from typing import Any

import torch
from torch import nn

from reid_smoke.probes.live import find_live, instances_of


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


class Proxy:
    """Answers to `__class__`, as lazy objects do, and remembers that it was asked."""

    asked = False

    @property
    def __class__(self) -> Any:
        Proxy.asked = True
        return nn.Linear


def test_instances_are_found_without_asking_a_proxy() -> None:
    proxy, norm = Proxy(), nn.BatchNorm1d(3)
    found = instances_of(nn.Module)
    assert any(thing is norm for thing in found)
    assert not any(thing is proxy for thing in found)
    assert not Proxy.asked


def test_looking_does_not_disturb_the_tuples_that_other_threads_are_making() -> None:
    """A second reference to a tuple under construction is a SystemError in the thread that makes it."""
    errors: list[BaseException] = []
    done = threading.Event()

    def make_tuples() -> None:
        try:
            while not done.is_set():
                assert len(tuple(number for number in range(40))) == 40
        except BaseException as error:
            errors.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=make_tuples)
    try:
        thread.start()
        for _ in range(5):
            instances_of(nn.Module)
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(before)
    assert not errors
