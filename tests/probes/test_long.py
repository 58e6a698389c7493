"""A training of many steps under the observer: what is kept of it does not grow with it."""

from __future__ import annotations

import gc

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reid_smoke.ledger import Ledger
from reid_smoke.probes.observer import Observer
from reid_smoke.watch.hooks import observing


class Loop:
    """Steps of a tiny classifier behind a norm."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.BatchNorm1d(16), nn.Linear(16, 8, bias=False))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3)
        self.images, self.labels = torch.randn(16, 16), torch.arange(16) % 8

    def train(self, steps: int) -> None:
        for _ in range(steps):
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(self.images), self.labels).backward()
            self.optimizer.step()


def tensors() -> int:
    gc.collect()
    return sum(type(thing) is Tensor for thing in gc.get_objects())


def test_nothing_of_a_step_is_held_after_it() -> None:
    loop = Loop()
    with observing(Observer(Ledger())):
        loop.train(10)
        before = tensors()
        loop.train(30)
        assert tensors() <= before + 2


def test_of_a_training_twice_as_long_a_few_more_steps_are_kept() -> None:
    """From ten times `dense_until` on, the stride grows with each doubling."""
    ledger, loop = Ledger(), Loop()
    observer = Observer(ledger)
    observer.dense_until = 20
    with observing(observer):
        loop.train(1700)
        observer.finish("finished")
    measured = [step.step for step in ledger.steps]
    assert measured[:20] == list(range(1, 21))
    strides = ((20, 200, 11), (200, 400, 53), (400, 800, 101), (800, 1600, 211), (1600, 1700, 401))
    assert measured[20:] == [
        step for first, last, stride in strides for step in range(first + 1, last + 1) if step % stride == 0
    ]
    assert observer.step == 1700


def test_between_the_measured_steps_another_loss_is_none_of_them() -> None:
    loop, observer = Loop(), Observer(Ledger())
    observer.dense_until = 20
    with observing(observer):
        loop.train(30)
        for _ in range(15):
            loop.train(1)
            loop.model(loop.images).square().mean().backward()
        observer.finish("finished")
    assert observer.step == 45
    assert observer.tally.counts["other_backwards"] == 15


def test_a_head_that_takes_over_between_two_measured_steps_is_found_at_the_next() -> None:
    ledger, loop = Ledger(), Loop()
    observer = Observer(ledger)
    observer.dense_until = 20
    with observing(observer):
        loop.train(25)
        second = Loop()
        second.train(12)
        assert observer.structure is not None
        assert observer.structure.head is second.model[1].weight
        observer.finish("finished")
    assert ledger.steps[-1].step >= 33
