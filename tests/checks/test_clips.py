"""Labels of clips are held against what their frames show, where the model makes one feature of a clip."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from reid_smoke.checks.catalogue import rank
from tests.checks.examples.frames_in_another_order import MeansOfClips
from tests.checks.tiny import TinyTraining, run_tiny


class OfAnybody(MeansOfClips):
    def loss_of_clips(self, clips: Tensor, labels: Tensor) -> Tensor:
        return super().loss_of_clips(clips, labels[torch.randperm(len(labels))])


class OfTheNextClip(MeansOfClips):
    def loss_of_clips(self, clips: Tensor, labels: Tensor) -> Tensor:
        return super().loss_of_clips(clips, labels.roll(1))


class RowsInAnOrderOfTheirOwn(MeansOfClips):
    """Of scores and labels alike: the loss's rows are not those of the clips any more."""

    def loss_of_clips(self, clips: Tensor, labels: Tensor) -> Tensor:
        score, _ = self.model(clips.flatten(0, 1))
        order = torch.randperm(len(labels))
        return F.cross_entropy(score[order], labels[order])


@pytest.mark.parametrize(("training", "code"), [(OfAnybody, "RS118"), (OfTheNextClip, "RS125")])
def test_labels_of_other_clips_are_named(training: type[TinyTraining], code: str) -> None:
    _, judgement = run_tiny(training())
    assert [r.check.code for r in rank(judgement.results)][:1] == [code]


def test_rows_in_an_order_of_their_own_are_no_fault() -> None:
    _, judgement = run_tiny(RowsInAnOrderOfTheirOwn())
    assert [r.check.code for r in rank(judgement.results)] == []
    assert judgement.verdict.word == "GO"
