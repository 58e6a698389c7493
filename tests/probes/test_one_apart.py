"""Losses without identities: a comparison of two views, whose labels are all 0; targets that a model gave."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reid_smoke.checks.catalogue import rank
from reid_smoke.facts import GraphFacts, ProbeFault
from reid_smoke.probes.cross_entropy import tells_opinions
from tests.checks.examples.one_label_for_all import SICK as OF_ONE_LABEL
from tests.checks.memory_bank import Embedding
from tests.checks.tiny import TinyTraining, run_tiny


class AgainstAQueue(TinyTraining):
    """MoCo."""

    def make_model(self) -> nn.Module:
        self.queue = F.normalize(torch.randn(64, 512))
        self.temperature = nn.Parameter(torch.tensor(0.2))
        return Embedding()

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam([*self.model.parameters(), self.temperature], 1e-3)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        one, other = self.model(images), self.model(images + torch.randn_like(images)).detach()
        logits = torch.cat([(one * other).sum(1, keepdim=True), one @ self.queue.T], 1) / self.temperature
        self.queue = torch.cat([other, self.queue])[:64]
        return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))


class WithinTheBatch(AgainstAQueue):
    """SimCLR, as its best known code picks the pairs."""

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.parameters(), 1e-3)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        features = self.model(torch.cat([images, images + torch.randn_like(images)]))
        number = torch.arange(len(images)).repeat(2)
        apart = ~torch.eye(len(number), dtype=torch.bool)
        alike = (features @ features.T)[apart].view(len(number), -1)
        same = (number[:, None] == number[None])[apart].view(len(number), -1)
        logits = torch.cat([alike[same].view(len(number), -1), alike[~same].view(len(number), -1)], dim=1)
        return F.cross_entropy(logits / 0.2, torch.zeros(len(number), dtype=torch.long))


class BesideIdentities(AgainstAQueue):
    def after_building(self) -> None:
        self.head = nn.Linear(512, self.identities, bias=False)
        self.optimizer.add_param_group({"params": self.head.parameters(), "lr": 0.1})

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(images, labels) + F.cross_entropy(self.head(self.model(images)), labels)


class ByATeacher(TinyTraining):
    """DINO: the teacher is the mean of the student's past, and says by which of many prototypes an image is."""

    def make_model(self) -> nn.Module:
        model = nn.Sequential(Embedding(), nn.Linear(512, 128, bias=False))
        self.teacher = copy.deepcopy(model).requires_grad_(False)
        self.center = torch.zeros(128)
        return model

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        given = self.teacher(images)
        said = F.softmax((given - self.center) / 0.04, 1)
        self.center = 0.9 * self.center + 0.1 * given.mean(0)
        for mean, now in zip(self.teacher.parameters(), self.model.parameters(), strict=True):
            mean.mul_(0.99).add_(now.detach(), alpha=0.01)
        return -(said * F.log_softmax(self.model(images + torch.randn_like(images)) / 0.1, 1)).sum(1).mean()


@pytest.mark.parametrize("training", [AgainstAQueue, WithinTheBatch])
def test_alone_it_is_no_identity_loss(training: type[TinyTraining]) -> None:
    ledger, judgement = run_tiny(training())
    assert rank(judgement.results) == []
    assert judgement.verdict.word == "UNKNOWN"
    assert "InfoNCE" in judgement.verdict.reason
    assert not ledger.all(ProbeFault)


def test_prototypes_that_nobody_is_like_are_no_fault() -> None:
    ledger, judgement = run_tiny(ByATeacher())
    assert ledger.all(GraphFacts)[-1].opinions
    assert rank(judgement.results) == []


SHARES = torch.full((6, 10), 0.01).scatter(1, torch.arange(6)[:, None], 0.91)
TARGETS = {
    "smoothed": (SHARES, False),
    "mixed": (0.3 * SHARES + 0.7 * SHARES.flip(0), False),
    "one-hot": ((SHARES > 0.5).float(), False),
    "a teacher's": ((2 * torch.randn(6, 10, generator=torch.Generator().manual_seed(0))).softmax(1), True),
    "a teacher's, mixed with labels": (0.9 * SHARES + 0.1 * torch.linspace(0, 1, 10).softmax(0), True),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_opinions_are_told_from_labels(kind: str) -> None:
    targets, expected = TARGETS[kind]
    logits = torch.randn(6, 10, requires_grad=True)
    root = -(targets * logits.log_softmax(1)).sum(1).mean()
    product = root.grad_fn.next_functions[0][0].next_functions[0][0].next_functions[0][0]
    assert tells_opinions(product) is expected


def test_beside_a_classifier_the_classifier_is_judged() -> None:
    _, judgement = run_tiny(BesideIdentities())
    assert judgement.verdict.rule.num_classes == 24
    assert [r.check.code for r in rank(judgement.results)] == []
    assert judgement.verdict.word == "GO"


@pytest.mark.parametrize("training", OF_ONE_LABEL)
def test_one_label_for_all_stays_what_it_is(training: type[TinyTraining]) -> None:
    _, judgement = run_tiny(training())
    assert [r.check.code for r in rank(judgement.results)][:1] == ["RS106"]
