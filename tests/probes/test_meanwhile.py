"""What is measured while backward runs: the same figures as one after the other, and whatever is raised is raised."""

from __future__ import annotations

import gc
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import reid_smoke
from reid_smoke.facts import ProbeFault
from reid_smoke.ledger import Ledger
from reid_smoke.probes import measure
from reid_smoke.probes.meanwhile import Meanwhile
from reid_smoke.probes.observer import Observer
from reid_smoke.watch.hooks import observing
from reid_smoke.watch.watching import Watch
from tests.checks.tiny import TinyTraining

OF_THE_CLOCK = {"data_s", "compute_s"}


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU, too."""
    monkeypatch.setattr(Meanwhile, "helps", staticmethod(lambda device: True))


class Clipped(TinyTraining):
    steps, window = 60, (30, 60)

    def clip(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)

    def train_step(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        super().train_step(images, labels)
        if self.step_number == 50:  # somebody writes into the head behind the optimizer's back
            with torch.no_grad():
                self.model.classifier.weight.mul_(-1)


class Twice(Clipped):
    """Accumulates two batches, and goes backward within backward, as a checkpoint does."""

    def train_step(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        feature = checkpoint(self.model.base, images.requires_grad_(), use_reentrant=True)
        F.cross_entropy(self.model.classifier(self.model.neck(feature)), labels).backward()
        if self.step_number % 2 == 0:
            self.optimizer.step()
            self.optimizer.zero_grad()


class Asks(Clipped):
    """Asks for the gradients, and puts them there by hand; beside what is left of the last ones."""

    def train_step(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        found = torch.autograd.grad(F.cross_entropy(self.model(images)[0], labels), parameters)
        for parameter, gradient in zip(parameters, found, strict=True):
            parameter.grad = gradient
        self.optimizer.step()


def facts_of(kind: type[TinyTraining], out: Path) -> list[dict[str, Any]]:
    with reid_smoke.watch(window=kind.window, out=out) as watch:
        kind().train()
    assert watch.ledger.all(ProbeFault) == []
    return [step.model_dump(exclude=OF_THE_CLOCK) for step in watch.ledger.steps]


@pytest.mark.parametrize("kind", [Clipped, Twice, Asks])
def test_the_figures_are_the_same(kind: type[TinyTraining], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one = facts_of(kind, tmp_path / "one")
    threads: set[str] = set()
    rows = measure.classification_rows

    def noted(*arguments: Any) -> measure.Figures:
        threads.add(threading.current_thread().name)
        return rows(*arguments)

    monkeypatch.setattr(measure, "classification_rows", noted)
    monkeypatch.setattr(Meanwhile, "helps", staticmethod(lambda device: True))
    side_by_side = facts_of(kind, tmp_path / "beside")
    assert any(name.startswith("reid-smoke") for name in threads)
    # Who only asks for gradients is known to train with them once an optimizer has stepped.
    assert len(side_by_side) == len(one_by_one) == kind.steps - (kind is Asks)
    for new, old in zip(side_by_side, one_by_one, strict=True):
        for name, figure in old.items():
            wanted = pytest.approx(figure, rel=1e-5, abs=1e-6, nan_ok=True) if isinstance(figure, float) else figure
            assert new[name] == wanted, (name, old["step"])


def test_the_end_of_a_training_comes_through(beside: None, tmp_path: Path) -> None:
    """A verdict that is certain in the midst of it stops their training, as `--stop` wants it."""
    training = Clipped()
    with Watch(window=(20, 30), out=tmp_path, stop=True) as watch:
        training.train()
    assert watch.report is not None
    assert watch.report.verdict in {"GO", "NO-GO"}
    assert training.step_number < training.steps
    assert watch.ledger.all(ProbeFault) == []
    assert not ours()


def test_who_is_never_told_of_the_end_leaves_no_thread_behind(beside: None) -> None:
    observer = Observer(Ledger())
    with observing(observer):
        Clipped().train()
    assert ours()
    del observer
    gc.collect()
    deadline = time.monotonic() + 10
    while ours() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not ours()


def ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("reid-smoke")]


def test_a_probe_that_fails_there_is_named(beside: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("a probe of ours")

    training = Clipped()
    with reid_smoke.watch(window=(30, 60), out=tmp_path) as watch:
        training.after_building()
        monkeypatch.setattr(measure, "feature_norms", broken)
        training.train()
    assert training.step_number == training.steps
    assert {fault.probe for fault in watch.ledger.all(ProbeFault)} == {"feature_lengths"}


def test_without_a_thread_it_is_done_at_once(beside: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    assert len(facts_of(Clipped, tmp_path)) == Clipped.steps
