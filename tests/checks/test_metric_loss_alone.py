"""A metric loss without any cross-entropy, beside a classifier that lies idle: meant so, as far as anybody can tell."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reid_smoke.checks.catalogue import rank
from reid_smoke.checks.gradient_flow.loss_does_not_reach_head import loss_does_not_reach_head
from reid_smoke.facts import EndFacts, LoopFacts, ParameterFacts, RunFacts
from tests.checks.examples.loss_does_not_reach_head import centres
from tests.checks.examples.triplets_without_positives import batch_hard
from tests.checks.tiny import TinyTraining, run_tiny


class MetricLossAlone(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return centres(self.model(images)[1], labels)


class TripletsAddedToZero(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return torch.tensor(0.0) + 2 * batch_hard(self.model(images)[1], labels)


class Autoencoder(TinyTraining):
    def after_building(self) -> None:
        self.decoder = nn.Linear(512, 3 * 8 * 8)
        self.optimizer.add_param_group({"params": self.decoder.parameters(), "lr": 1e-3})

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.mse_loss(self.decoder(self.model(images)[1]), images.flatten(1))


class WithItsFirstBatchesScored(MetricLossAlone):
    """A sanity check before the training is no loss that was forgotten."""

    def after_building(self) -> None:
        images, labels = next(iter(self.loader))
        F.cross_entropy(self.model(images)[0], labels)


@pytest.mark.parametrize("training", [MetricLossAlone, TripletsAddedToZero, Autoencoder, WithItsFirstBatchesScored])
def test_is_a_warning_and_nothing_to_judge(training: type[TinyTraining]) -> None:
    ledger, judgement = run_tiny(training())
    assert [end.train_s > 0 for end in ledger.all(EndFacts)] == [True]
    assert [(r.check.code, r.severity) for r in rank(judgement.results)] == [("RS304", "warn")]
    assert judgement.verdict.word == "UNKNOWN"
    assert "classification" in judgement.verdict.reason


def test_is_fatal_where_the_head_is_part_of_the_plan() -> None:
    ledger, _ = run_tiny(MetricLossAlone())
    plan = RunFacts(way_in="run", name="tiny", head="classifier.weight")
    finding = loss_does_not_reach_head.judge(ledger.all(LoopFacts), ledger.all(ParameterFacts), [plan])
    assert finding is not None
    assert finding.severity is None  # the check's own, which is fatal
