"""What torch.compile made into one node is looked into by what its backward kept: images, labels, scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import reid_smoke
from reid_smoke.checks.catalogue import rank
from reid_smoke.facts import ProbeFault
from reid_smoke.probes.observer import Observer
from tests.checks.tiny import Crops, TinyTraining, run_tiny


def compiled(what: Any) -> Any:
    return torch.compile(what, backend="aot_eager")


class CompiledModel(TinyTraining):
    steps = 80
    window = (50, 80)

    def make_dataset(self) -> Crops:
        return Crops(self.identities, images=16)

    def make_model(self) -> nn.Module:
        model: nn.Module = compiled(super().make_model())
        return model


class WithShuffledLabels(CompiledModel):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(images, labels[torch.randperm(len(labels))])


class CompiledLoss(CompiledModel):
    def after_building(self) -> None:
        # torch 2.6 does not take a function of its own as it is.
        self.criterion = compiled(lambda logits, labels: F.cross_entropy(logits, labels))

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        loss: Tensor = self.criterion(self.model(images)[0], labels)
        return loss


class AllInOne(TinyTraining):
    """Model and loss; the feature is as wide as the weights before it are high."""

    def make_model(self) -> nn.Module:
        model = super().make_model()
        model.between = nn.Linear(512, 512)
        return model

    def after_building(self) -> None:
        self.criterion = compiled(self.whole)

    def whole(self, images: Tensor, labels: Tensor) -> Tensor:
        model = self.model
        feature = F.relu(model.between(model.neck(model.base(images))))
        return F.cross_entropy(model.classifier(model.neck(feature)), labels)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        loss: Tensor = self.criterion(images, labels)
        return loss


class AllInOneWithAHeadForgotten(AllInOne):
    def head_parameters(self) -> list[nn.Parameter]:
        return []


@pytest.mark.parametrize("training", [CompiledModel, CompiledLoss, AllInOne])
def test_a_healthy_training_is_judged_and_left_alone(training: type[TinyTraining]) -> None:
    ledger, judgement = run_tiny(training())
    assert [(r.check.code, r.finding) for r in rank(judgement.results)] == []
    assert judgement.verdict.word == "GO", judgement.verdict.reason
    assert judgement.verdict.rule.num_classes == 24
    assert not ledger.all(ProbeFault)


@pytest.mark.parametrize(("training", "code"), [(WithShuffledLabels, "RS118"), (AllInOneWithAHeadForgotten, "RS302")])
def test_a_fault_is_named_first(training: type[TinyTraining], code: str) -> None:
    ledger, judgement = run_tiny(training())
    found = rank(judgement.results)
    assert [r.check.code for r in found][:1] == [code], [(r.check.code, r.finding) for r in found]
    assert not ledger.all(ProbeFault)


def test_what_is_ours_is_never_compiled(tmp_path: Path) -> None:
    """Between two pieces of a compiled step whatever runs there is compiled, too: our hooks are left as they are."""
    entries = pytest.importorskip("torch._C._dynamo.eval_frame")._debug_get_cache_entry_list

    class CompiledStep(TinyTraining):
        steps, window = 12, (6, 12)

        def after_building(self) -> None:
            self.piece = compiled(super().train_step)

        def train_step(self, images: Tensor, labels: Tensor) -> None:
            self.piece(images, labels)

    with reid_smoke.watch(window=CompiledStep.window, out=tmp_path) as watch:
        CompiledStep().train()
    assert len(watch.ledger.steps) == CompiledStep.steps
    told = [Observer.backward_begins, Observer.step_begins, Observer.zeroed, Observer.backward_ended]
    for method in told:
        while method is not None:
            assert entries(method.__code__) == []
            method = getattr(method, "__wrapped__", None)  # the layers that it is put together from
