"""CE that climbs is told apart by what makes the logits: a weight that steps too far, or a memory that no one steps."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checks.examples.lr_too_large import LostItsMinus
from tests.checks.memory_bank import Follow, MemoryBank
from tests.checks.tiny import TinyTraining, run_tiny


class ByRow(Follow):
    """Each image moves the row of its place in the batch, not that of its label."""

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        features, _ = ctx.saved_tensors
        gradient = gradients[0] @ ctx.memory
        for row, feature in enumerate(features):
            ctx.memory[row] = F.normalize(0.2 * ctx.memory[row] + 0.8 * feature, dim=0)
        return gradient, None, None


class FollowsByRow(MemoryBank):
    follow: type[torch.autograd.Function] = ByRow

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.follow.apply(self.model(images), labels, self.memory) / 0.03, labels)


class FollowsByLabel(FollowsByRow):
    follow = Follow


@pytest.mark.parametrize(("training", "of_a_memory"), [(LostItsMinus, False), (FollowsByRow, True)])
def test_the_mend_is_that_of_what_makes_the_logits(training: type[TinyTraining], of_a_memory: bool) -> None:
    _, judgement = run_tiny(training())
    (found,) = [r.finding for r in judgement.results if r.check.code == "RS403" and r.finding is not None]
    assert ("no weight that an optimizer steps" in found.evidence) is of_a_memory
    assert ("memory[label]" in (found.mend or "")) is of_a_memory


def test_a_memory_that_follows_its_labels_is_healthy() -> None:
    _, judgement = run_tiny(FollowsByLabel())
    assert judgement.verdict.word == "GO"
    assert not [r.check.slug for r in judgement.results if r.finding is not None]
