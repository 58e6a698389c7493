"""A loss with several heads: one is judged, the report says so, and `head` chooses another."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import reid_smoke
from reid_smoke.errors import UsageError
from reid_smoke.facts import GraphFacts
from reid_smoke.report.document import Report
from tests.checks.tiny import TinyTraining, run_tiny


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(12, 16)
        self.people = nn.Linear(16, 5)
        self.cameras = nn.Linear(16, 3)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.body(features).relu()
        return self.people(hidden), self.cameras(hidden)


def report_of(folder: Path, head: str | None) -> Report:
    torch.manual_seed(0)
    model = TwoHeads()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    features, people, cameras = torch.randn(15, 12), torch.arange(15) % 5, torch.arange(15) % 3
    with reid_smoke.watch(out=folder, window=(20, 30), head=head, say=lambda sentence: None) as watch:
        for _ in range(32):
            of_people, of_cameras = model(features)
            optimizer.zero_grad()
            (F.cross_entropy(of_people, people) + F.cross_entropy(of_cameras, cameras)).backward()
            optimizer.step()
    assert watch.report is not None
    return watch.report


def test_the_first_head_is_judged_and_the_report_names_the_other(tmp_path: Path) -> None:
    report = report_of(tmp_path, None)
    assert report.rule.num_classes == 5
    assert any("people.weight was judged; --head REGEX chooses another of cameras.weight" in n for n in report.notes)


class Stages(TinyTraining):
    """A classifier on an early stage, computed first: of cameras, or of people to supervise it deeply."""

    outputs, share = 24, 1.0

    def after_building(self) -> None:
        self.early = nn.Linear(16, self.outputs)
        self.optimizer.add_param_group({"params": self.early.parameters(), "lr": 1e-3})

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        base = self.model.base
        stage = F.relu(base.bn1(base.conv1(images)))
        first = self.early(stage.mean((2, 3)))
        last = self.model.classifier(self.model.neck(F.relu(base.bn2(base.conv2(stage))).flatten(1)))
        return self.share * F.cross_entropy(first, labels % self.outputs) + F.cross_entropy(last, labels)


class OfCameras(Stages):
    outputs = 3


class OfASmallShare(Stages):
    share = 0.3


@pytest.mark.parametrize("training", [OfCameras, OfASmallShare])
def test_the_head_of_the_identities_is_judged_and_not_one_beside_it(training: type[Stages]) -> None:
    ledger, judgement = run_tiny(training())
    graph = ledger.last(GraphFacts)
    assert graph is not None
    assert (graph.head, graph.num_classes) == ("classifier.weight", 24)
    assert judgement.verdict.word == "GO", judgement.verdict.reason


class DeepStages(Stages):
    """Of the same share: what is early is known by how few of the weights lie behind it."""

    def make_model(self) -> nn.Module:
        model = super().make_model()
        model.extra = nn.Sequential(*(nn.Linear(512, 512) for _ in range(2)))
        return model

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        base = self.model.base
        stage = F.relu(base.bn1(base.conv1(images)))
        first = self.early(stage.mean((2, 3)))
        pooled = F.relu(base.bn2(base.conv2(stage))).flatten(1)
        last = self.model.classifier(self.model.neck(pooled + 0.1 * self.model.extra(pooled)))
        return F.cross_entropy(first, labels) + F.cross_entropy(last, labels)


def test_an_early_head_is_known_by_what_lies_behind_it() -> None:
    ledger, judgement = run_tiny(DeepStages())
    graph = ledger.last(GraphFacts)
    assert graph is not None
    assert graph.head == "classifier.weight"
    assert judgement.verdict.word == "GO", judgement.verdict.reason


def test_a_head_can_be_chosen(tmp_path: Path) -> None:
    report = report_of(tmp_path, r"^cameras\.")
    assert report.rule.num_classes == 3
    assert not any("--head" in note for note in report.notes)


def test_a_pattern_that_matches_nothing_is_told_with_the_heads_there_are(tmp_path: Path) -> None:
    report = report_of(tmp_path, "classifer")
    assert report.rule.num_classes == 5
    assert any("--head classifer matches none of the heads (people.weight, cameras.weight)" in n for n in report.notes)


def test_what_is_no_regular_expression_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no regular expression"):
        reid_smoke.watch(out=tmp_path / "run", head="(")
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_a_loss_that_torch_jit_compiles_is_compiled_as_ever(tmp_path: Path) -> None:
    with reid_smoke.watch(out=tmp_path, say=lambda sentence: None):
        scripted = torch.jit.script(nn.CrossEntropyLoss(label_smoothing=0.1))
        loss = scripted(torch.zeros(3, 4), torch.tensor([0, 1, 2]))
    assert float(loss) == pytest.approx(1.3863, abs=1e-3)


class Compiled(TinyTraining):
    def make_model(self) -> nn.Module:
        model: nn.Module = torch.compile(super().make_model(), backend="aot_eager")  # type: ignore[assignment]
        return model


class CompiledAndForgotten(Compiled):
    def head_parameters(self) -> list[nn.Parameter]:
        return []


def test_a_head_within_a_compiled_model_is_judged(tmp_path: Path) -> None:
    with reid_smoke.watch(out=tmp_path, stop=True) as watch:
        CompiledAndForgotten().train()
    assert watch.report is not None
    cause = watch.report.primary
    assert cause is not None
    assert (cause.slug, "classifier.weight (24 x 512)" in cause.evidence) == ("head-not-in-optimizer", True)


class CompiledAndSquashed(Compiled):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images)[0].softmax(1), labels)


def test_what_lies_between_a_compiled_model_and_the_loss_is_seen(tmp_path: Path) -> None:
    with reid_smoke.watch(out=tmp_path, stop=True) as watch:
        CompiledAndSquashed().train()
    assert watch.report is not None
    assert watch.report.primary is not None
    assert watch.report.primary.slug == "softmax-before-ce"
