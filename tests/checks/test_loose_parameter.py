"""A parameter of no module that an optimizer holds and no loss uses yet, as the learnt weights of losses to come."""

from __future__ import annotations

import torch
from torch import nn

from reid_smoke.checks.catalogue import rank
from tests.checks.tiny import TinyTraining, run_tiny


class ForLater(TinyTraining):
    def after_building(self) -> None:
        self.log_vars = nn.Parameter(torch.zeros(2))
        self.optimizer.add_param_group({"params": [self.log_vars]})


def test_is_said_and_does_not_end_a_training_that_learns() -> None:
    _, judgement = run_tiny(ForLater())
    assert [(r.check.code, r.severity) for r in rank(judgement.results)] == [("RS404", "warn")]
    assert judgement.verdict.word == "GO"
