"""How the weights move, told step by step as an observer tells it, against what was done to them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from reid_smoke.probes import measure
from reid_smoke.probes.batch import Batch
from reid_smoke.probes.figures import read_figures
from reid_smoke.probes.groups import Places
from reid_smoke.probes.under_way import Step
from reid_smoke.probes.weights import Weights

Change = Callable[[torch.Tensor], object]


class Followed:
    """A head and one weight of a backbone, and a step after another."""

    def __init__(self, head: torch.Tensor) -> None:
        self.head, self.backbone = torch.nn.Parameter(head), torch.nn.Parameter(torch.full((2, 2), 5.0))  # of length 10
        self.weights = Weights(Places())
        self.weights.follow_head(self.head)
        self.weights.follow_backbone([("layer", self.backbone)])

    @torch.no_grad()
    def step(self, *updates: Change, between: Change = lambda head: None) -> dict[str, float]:
        """The figures of a step in which optimizers make these updates to the head, one after the other."""
        log_probs = F.log_softmax(torch.zeros(2, 3), 1)
        batch = Batch(log_probs, torch.tensor([0, 1]))
        step = Step(1, 1, 1, events="b", data_s=0.0, measurements={**measure.classification_rows(batch)})
        between(self.head)
        for update in updates:
            self.weights.before_step(step, of_head=True, eager=True)
            update(self.head)
            self.backbone.mul_(1.1)
            self.weights.after_step(step, of_head=True, eager=True)
        self.weights.close(step, eager=True)
        return read_figures(step.numbers(step.to_row()), step.updates)


def test_an_update_and_the_way_from_the_start() -> None:
    followed = Followed(torch.full((4, 4), 2.0))  # |w| = 8
    figures = [followed.step(lambda head: head[0, 0].add_(4.0)) for _ in range(2)]
    assert [f["head_update"] for f in figures] == pytest.approx([4 / 8, 4 / math.sqrt(15 * 4 + 36)])
    assert [f["head_moved"] for f in figures] == pytest.approx([4 / 8, 8 / 8])
    assert figures[0]["head_norm"] == pytest.approx(math.sqrt(15 * 4 + 36))
    assert [f["backbone_update"] for f in figures] == pytest.approx([0.1, 0.1])


def test_of_two_updates_in_a_step_each_is_measured_by_itself() -> None:
    followed = Followed(torch.full((4, 4), 2.0))
    assert followed.step(lambda head: head.mul_(1.5), lambda head: head.mul_(2.0))["head_update"] == pytest.approx(1.0)
    assert followed.step(lambda head: head.mul_(1.5), lambda head: head.mul_(1.0))["head_update"] == pytest.approx(0.5)


def test_a_step_without_an_update_has_none() -> None:
    figures = Followed(torch.ones(4, 4)).step()
    assert math.isnan(figures["head_update"])
    assert figures["head_moved"] == 0.0


def test_what_no_optimizer_moved_is_told_of_the_backbone_too() -> None:
    followed = Followed(torch.ones(4, 4))
    assert followed.step()["backbone_moved"] == 0.0
    assert followed.step(between=lambda head: followed.backbone.mul_(1.5))["backbone_moved"] == pytest.approx(0.5)
    assert math.isnan(followed.step(lambda head: head.mul_(1.5))["backbone_moved"])


def test_an_update_is_measured_although_another_head_is_followed_before_the_step_is_over() -> None:
    followed = Followed(torch.ones(4, 4))
    another = torch.nn.Parameter(torch.ones(3, 3))
    figures = followed.step(lambda head: (head.mul_(1.5), followed.weights.follow_head(another)))
    assert math.isnan(figures["head_update"])  # it was exchanged while the optimizer stepped
    followed.head = another
    assert followed.step(lambda head: head.mul_(1.5))["head_update"] == pytest.approx(0.5)


def test_of_a_large_weight_the_share_that_moved_stays() -> None:
    followed = Followed(torch.ones(1000, 100))
    assert followed.step(lambda head: head.mul_(1.01))["head_update"] == pytest.approx(0.01, rel=1e-3)


def overwritten(between: Change, *, change: float = 1e-3) -> float:
    """What is seen of that which happens between two updates."""
    torch.manual_seed(0)
    followed = Followed(torch.randn(40, 16))

    def update(head: torch.Tensor) -> object:
        return head.add_(change * torch.randn(40, 16))

    assert math.isnan(followed.step(update)["head_overwritten"])  # there is no last update yet
    return followed.step(update, between=between)["head_overwritten"]


def test_what_others_do_between_two_updates_is_told_from_the_updates() -> None:
    assert overwritten(lambda head: None) == 0.0
    assert overwritten(lambda head: head.zero_()) == pytest.approx(1.0)
    assert overwritten(lambda head: head.neg_()) == pytest.approx(2.0)
    assert overwritten(lambda head: head[:10].neg_()) == pytest.approx(1.0)


@pytest.mark.parametrize("change", [1e-1, 1e-3, 1e-5])
def test_rows_brought_to_a_length_are_as_they_were(change: float) -> None:
    torch.manual_seed(0)
    followed = Followed(F.normalize(torch.randn(40, 16)))
    for _ in range(4):
        figures = followed.step(
            lambda head: head.add_(change / 4 * torch.randn(40, 16)),
            between=lambda head: head.div_(head.norm(dim=1, keepdim=True)),
        )
        assert not figures["head_overwritten"] > 0.05 * figures["head_update"]
    assert figures["head_update"] == pytest.approx(change, rel=0.1)


@pytest.mark.parametrize("size", [1e-5, 1e-3, 1.0])
def test_it_is_as_large_as_the_same_rows_at_unit_length_are_apart(size: float) -> None:
    seen = []

    def disturb(head: torch.Tensor) -> None:
        then = F.normalize(head.double())
        head.add_(size * torch.randn(40, 16))
        seen.append(float((F.normalize(head.double()) - then).norm() / then.norm()))

    assert overwritten(disturb) == pytest.approx(seen[0], rel=0.02)
