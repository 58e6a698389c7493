"""Parameters behind a checkpoint that hides its graph are reached; what is cut off beside one is not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import reid_smoke
from reid_smoke.facts import GraphFacts
from tests.checks.tiny import TinyTraining

Run = Callable[["Checkpointed", Tensor], Tensor]


class Checkpointed(TinyTraining):
    steps, window = 40, (20, 40)

    def __init__(self, run: Run, use_reentrant: bool = True) -> None:
        super().__init__()
        self.run, self.use_reentrant = run, use_reentrant

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.run(self, images.requires_grad_())
        return F.cross_entropy(self.model.classifier(self.model.neck(feature)), labels)

    def again(self, run: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        result: Tensor = checkpoint(run, images, use_reentrant=self.use_reentrant)
        return result


def the_module(training: Checkpointed, images: Tensor) -> Tensor:
    return training.again(training.model.base, images)


def its_method(training: Checkpointed, images: Tensor) -> Tensor:
    return training.again(training.model.base.forward, images)


def a_closure(training: Checkpointed, images: Tensor) -> Tensor:
    base = training.model.base
    return training.again(lambda some: base(some), images)  # the closure is what is tried


def partly_given(training: Checkpointed, images: Tensor) -> Tensor:
    return training.again(partial(lambda base, some: base(some), training.model.base), images)


def in_two_pieces(training: Checkpointed, images: Tensor) -> Tensor:
    base = training.model.base
    hidden = training.again(lambda some: F.relu(base.bn1(base.conv1(some))), images)
    return training.again(lambda some: F.relu(base.bn2(base.conv2(some))).flatten(1), hidden)


def cut_off_behind_it(training: Checkpointed, images: Tensor) -> Tensor:
    return training.again(training.model.base, images).detach()


def judged(run: Run, out: Path, *, use_reentrant: bool = True) -> tuple[str, list[str], GraphFacts]:
    with reid_smoke.watch(window=Checkpointed.window, out=out) as watch:
        Checkpointed(run, use_reentrant).train()
    assert watch.report is not None
    graph = watch.ledger.last(GraphFacts)
    assert graph is not None
    return watch.report.verdict, [finding.code for finding in watch.report.findings], graph


@pytest.mark.parametrize("run", [the_module, its_method, a_closure, partly_given, in_two_pieces])
def test_what_a_checkpoint_runs_is_reached(run: Run, tmp_path: Path) -> None:
    hidden = judged(run, tmp_path / "hidden")
    seen = judged(run, tmp_path / "seen", use_reentrant=False)
    assert hidden[:2] == seen[:2] == ("GO", [])
    assert hidden[2].backbone_reached == seen[2].backbone_reached == seen[2].backbone_trainable


def test_what_is_cut_off_behind_a_checkpoint_is_told(tmp_path: Path) -> None:
    verdict, codes, graph = judged(cut_off_behind_it, tmp_path)
    assert (verdict, codes[0], graph.backbone_reached) == ("NO-GO", "RS305", 0)


def test_a_whole_model_within_a_checkpoint(tmp_path: Path) -> None:
    class Whole(TinyTraining):
        steps, window = 40, (20, 40)

        def loss(self, images: Tensor, labels: Tensor) -> Tensor:
            score, _ = checkpoint(self.model, images.requires_grad_(), use_reentrant=True)
            return F.cross_entropy(score, labels)

    with reid_smoke.watch(window=Whole.window, out=tmp_path) as watch:
        Whole().train()
    assert watch.report is not None
    assert watch.report.verdict == "GO", watch.report.findings


def test_a_checkpoint_of_images_that_ask_for_no_gradient_trains_nothing(tmp_path: Path) -> None:
    verdict, codes, _ = judged(lambda training, images: the_module(training, images.detach()), tmp_path)
    assert (verdict, codes[0]) == ("NO-GO", "RS305")


def test_torch_is_as_it_was(tmp_path: Path) -> None:
    before = torch.autograd.backward
    judged(the_module, tmp_path)
    assert torch.autograd.backward is before
