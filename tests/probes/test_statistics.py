"""Batch norms that the loss does not go through are nobody's cause, however new their statistics are."""

from __future__ import annotations

from copy import deepcopy

from torch import Tensor, nn

from reid_smoke.checks.catalogue import rank
from reid_smoke.facts import StatisticsFacts
from tests.checks.tiny import Model, TinyTraining, run_tiny


class BesideTwoTeachers(nn.Module):
    def __init__(self, identities: int) -> None:
        super().__init__()
        self.student = Model(identities)
        self.teacher = deepcopy(self.student).requires_grad_(False)
        self.slower_teacher = deepcopy(self.teacher)

    def train(self, mode: bool = True) -> BesideTwoTeachers:
        super().train(mode)
        self.teacher.eval()
        self.slower_teacher.eval()
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.student(images)


class StandsStill(TinyTraining):
    lr_head = lr_backbone = 1e-7

    def make_model(self) -> nn.Module:
        return BesideTwoTeachers(self.identities)


class NormsFrozenBesideTrainedConvolutions(StandsStill):
    def make_model(self) -> nn.Module:
        model = Model(self.identities)
        for norm in (model.base.bn1, model.base.bn2):
            norm.requires_grad_(False)
        return model

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.model.base.bn1.eval()
        self.model.base.bn2.eval()
        super().train_step(images, labels)


def test_teachers_in_eval_mode_are_left_alone() -> None:
    _, judgement = run_tiny(StandsStill())
    assert judgement.verdict.word == "NO-GO"
    assert "RS513" not in [r.check.code for r in rank(judgement.results)]


def test_frozen_norms_between_trained_weights_are_looked_at() -> None:
    ledger, _ = run_tiny(NormsFrozenBesideTrainedConvolutions())
    last = ledger.all(StatisticsFacts)[-1]
    assert (last.unmeasured, last.batch_norms) == (2, 3)
