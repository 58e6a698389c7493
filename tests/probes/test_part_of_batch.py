"""Heads that are given a part of the batch: which images it is, read from the graph."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reid_smoke.checks.catalogue import rank
from reid_smoke.facts import LikenessFacts
from reid_smoke.probes.graph import walk
from reid_smoke.probes.nodes import follow
from reid_smoke.probes.part_of_batch import rows_taken
from tests.checks.examples.labels_unrelated_to_images import Dressed
from tests.checks.tiny import run_tiny

TAKEN: dict[str, tuple[Callable[[Tensor], Tensor], slice | None]] = {
    "slice": (lambda x: x[2:6], slice(2, 6)),
    "from the end": (lambda x: x[-4:], slice(4, 8)),
    "chunk": (lambda x: x.chunk(2)[1], slice(4, 8)),
    "sizes": (lambda x: x.split([3, 4, 1])[1], slice(3, 7)),
    "every other one": (lambda x: x[::2], None),
    "by a mask": (lambda x: x[torch.arange(8) < 4], None),
    "of shuffled ones": (lambda x: x[torch.randperm(8)][:4], None),
}


@pytest.mark.parametrize("how", TAKEN)
@pytest.mark.parametrize("of_scores", [False, True])
def test_the_rows_are_told(how: str, of_scores: bool) -> None:
    take, expected = TAKEN[how]
    head = nn.Linear(6, 5)
    feature = nn.Linear(6, 6)(torch.randn(8, 6)).relu()
    logits = take(head(feature)) if of_scores else head(take(feature))
    root = F.cross_entropy(logits, torch.zeros(4, dtype=torch.long)).grad_fn
    found = walk(root).classifications[0]
    log_softmax = follow(root, (*found.path, 0))
    way = (*(found.product_path or ()), *found.feature_steps)
    assert rows_taken(log_softmax, way, 8, 4) == expected


class OfTwoDomains(Dressed):
    """Each batch holds images of a second set, behind the first one's, which have a head of their own."""

    def after_building(self) -> None:
        self.second = nn.Linear(512, self.identities, bias=False)
        self.optimizer.add_param_group({"params": self.second.parameters(), "lr": 1e-2})

    def both(self, images: Tensor, others: Tensor) -> Tensor:
        return torch.cat([images, others])

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        both = self.both(images, images.roll(1, 0).flip(3) + 1)
        of_first, of_second = self.model.neck(self.model.base(both)).chunk(2)
        loss = F.cross_entropy(self.model.classifier(of_first), labels)
        return loss + 0.1 * F.cross_entropy(self.second(of_second), labels.roll(1))


class TheOtherWayRound(OfTwoDomains):
    def both(self, images: Tensor, others: Tensor) -> Tensor:
        return torch.cat([others, images])


def test_a_healthy_one_is_looked_at() -> None:
    ledger, judgement = run_tiny(OfTwoDomains())
    assert ledger.all(LikenessFacts)[-1].auc > 0.7
    assert [r.check.code for r in rank(judgement.results)] == []
    assert judgement.verdict.word == "GO"


def test_images_of_one_domain_under_the_labels_of_the_other() -> None:
    _, judgement = run_tiny(TheOtherWayRound())
    assert next(r.check.code for r in rank(judgement.results)) in ("RS118", "RS125")
    assert judgement.verdict.word == "NO-GO"
