"""Which steps are measured, and at which the graph is walked: what is left out, and what is found out all the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import reid_smoke
from reid_smoke.facts import LabelFacts, LoopFacts, ModeFacts, ParameterFacts
from reid_smoke.ledger import Ledger
from reid_smoke.probes.density import next_walk
from reid_smoke.probes.meanwhile import Meanwhile
from reid_smoke.probes.observer import Observer
from reid_smoke.watch.hooks import observing
from tests.checks.tiny import TinyTraining

CLASSES, BATCH = 8, 16


class Loop:
    """A tiny classifier, whose every batch has labels of its own, some of them ignored."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Linear(16, CLASSES, bias=False))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3)
        self.scheduler = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.999)
        self.labels = torch.empty(BATCH, dtype=torch.int64)  # one piece of memory, as who copies to a GPU may have it
        self.seen: list[list[int]] = []

    def train(self, steps: int) -> None:
        for _ in range(steps):
            torch.randint(CLASSES, (BATCH,), out=self.labels)
            self.labels[0] = -100
            self.seen.append(self.labels.tolist())
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(torch.randn(BATCH, 16)), self.labels).backward()
            self.optimizer.step()
            self.scheduler.step()


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as it matters here: Python is what a step waits for."""
    monkeypatch.setattr(Meanwhile, "helps", staticmethod(lambda device: True))


def test_steps_are_left_out_where_they_wait_for_python(on_a_gpu: None) -> None:
    loop, ledger = Loop(), Ledger()
    with observing(Observer(ledger, leaves_out=True)) as observer:
        loop.train(400)
        observer.finish("finished")
    measured = [step.step for step in ledger.steps]
    assert measured[:100] == list(range(1, 101))
    assert measured[100:] == [step for step in range(101, 401) if step % 11 < 4]
    # An accumulation's last batch is among them, whichever cycle it has.
    for cycle in (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16):
        assert {step % cycle for step in measured[100:]} == set(range(cycle)), cycle
    assert observer.tally.counts == {"backwards": 400, "optimizer_steps": 400, "zero_grads": 400}
    assert ledger.all(LoopFacts)[-1].backwards == 400


def test_labels_are_counted_in_each_step(on_a_gpu: None) -> None:
    loop, ledger = Loop(), Ledger()
    with observing(Observer(ledger, leaves_out=True)) as observer:
        loop.train(399)  # the last one is measured
        observer.finish("finished")
    counts = Counter(label for batch in loop.seen for label in batch if label != -100)
    told = ledger.all(LabelFacts)
    last = told[-1]
    assert (last.images, last.seen) == (399 * (BATCH - 1), CLASSES)
    assert last.draws == sum(len(set(batch) - {-100}) for batch in loop.seen)
    assert last.histogram == tuple(sorted(Counter(counts.values()).items()))
    assert [fact.step // 100 for fact in told] == [1, 2, 3, 3]  # at the first that is measured, and at the end


class Long(TinyTraining):
    steps = 160  # not among the 4 of 11


@pytest.mark.parametrize("window_end", [160, 161])
def test_the_last_step_counts_all_the_same(window_end: int, on_a_gpu: None, tmp_path: Path) -> None:
    """Where the training ends with the window, and where it ends a step before."""
    with reid_smoke.watch(window=(110, window_end), out=tmp_path) as watch:
        Long().train()
    assert watch.report is not None
    if window_end == 160:
        assert watch.report.verdict == "GO"
        assert watch.ledger.steps[-1].step == 160
    else:
        assert watch.report.verdict == "UNKNOWN"
        assert "160 of the 161 steps" in watch.report.reason
        assert any("This training has 160 steps" in note for note in watch.report.notes)
    # 12 batches an epoch; of the last steps the one at which the window closes is measured, or none.
    assert (watch.report.global_step, watch.report.epoch, watch.report.step_in_epoch) == (160, 14, 4)


@pytest.mark.parametrize("leaves_out", [True, False])
def test_all_are_measured_otherwise(leaves_out: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing waits for Python, and where nobody wants any left out."""
    monkeypatch.setattr(Meanwhile, "helps", staticmethod(lambda device: not leaves_out))
    loop, ledger = Loop(), Ledger()
    with observing(Observer(ledger, leaves_out=leaves_out)) as observer:
        loop.train(200)
        observer.finish("finished")
    assert [step.step for step in ledger.steps] == list(range(1, 201))


def test_the_graph_is_walked_often_at_first() -> None:
    loop, ledger = Loop(), Ledger()
    with observing(Observer(ledger)):
        loop.train(1000)
    # The schedule changes the rates from step to step, so there is something to be written at each walk.
    walked = [fact.step for fact in ledger.all(ParameterFacts)]
    assert walked == [1, 2, 5, 20, 50, 100, 200, 300, 600, 900]


def test_the_longer_a_training_is_the_rarer_are_the_walks() -> None:
    step, walks = 0, 0
    while step < 1_000_000:
        step, walks = next_walk(step), walks + 1
    assert walks < 100


def test_what_is_frozen_between_two_walks_is_found_within_a_hundred_steps() -> None:
    loop, ledger = Loop(), Ledger()
    with observing(Observer(ledger)):
        loop.train(420)
        loop.model[0].requires_grad_(False)
        loop.train(100)
        assert ledger.all(ParameterFacts)[-1].step == 500
        loop.model[1].eval()
        loop.train(100)
        assert ledger.all(ModeFacts)[-1].step == 600
