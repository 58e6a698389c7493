"""Identity losses that are no `F.cross_entropy`: healthy they are judged and left alone, sick they are named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reid_smoke.checks.catalogue import rank
from reid_smoke.facts import ProbeFault
from tests.checks.tiny import TinyTraining, run_tiny

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # of logits (B, C), labels (B,) and one-hot labels (B, C)


def softmax_by_hand(logits: Tensor) -> Tensor:
    exponentials = (logits - logits.max(1, keepdim=True)[0]).exp()
    return exponentials / exponentials.sum(1, keepdim=True)


def focal_of_sigmoids(logits: Tensor, one_hot: Tensor) -> Tensor:
    p = logits.sigmoid()
    right, wrong = one_hot * (1 - p) ** 2 * torch.log(p + 1e-8), (1 - one_hot) * p**2 * torch.log(1 - p + 1e-8)
    return -(right + wrong).sum(1).mean()


def focal_of_bce(logits: Tensor, one_hot: Tensor) -> Tensor:
    each = F.binary_cross_entropy_with_logits(logits, one_hot, reduction="none")
    return ((1 - torch.exp(-each)) ** 2 * each).sum(1).mean()


def focal_of_a_mask(logits: Tensor, one_hot: Tensor) -> Tensor:
    p = (F.softmax(logits, 1) * one_hot).sum(1).view(-1, 1)
    return -((1 - p) ** 2 * p.log()).mean()


LOSSES: dict[str, Loss] = {
    "bce": lambda x, y, one_hot: F.binary_cross_entropy_with_logits(x, one_hot),
    "bce of sigmoids": lambda x, y, one_hot: F.binary_cross_entropy(x.sigmoid(), one_hot),
    "bce of soft margins": lambda x, y, one_hot: F.multilabel_soft_margin_loss(x, one_hot),
    "squares": lambda x, y, one_hot: F.mse_loss(x, one_hot),
    "squares of a softmax": lambda x, y, one_hot: F.mse_loss(x.softmax(1), one_hot, reduction="sum") / len(x),
    "margins": lambda x, y, one_hot: F.multi_margin_loss(x, y),
    "softmax by hand": lambda x, y, one_hot: -(one_hot * softmax_by_hand(x).log()).sum(1).mean(),
    "softmax by hand, clamped": lambda x, y, one_hot: -(one_hot * (softmax_by_hand(x) + 1e-8).log()).sum(1).mean(),
    "softmax by hand, gathered": lambda x, y, one_hot: -softmax_by_hand(x).gather(1, y[:, None]).log().mean(),
    "softmax by hand, indexed": lambda x, y, one_hot: -softmax_by_hand(x)[torch.arange(len(y)), y].log().mean(),
    "softmax, masked": lambda x, y, one_hot: -(x.softmax(1) * one_hot).sum(1).log().mean(),
    "log-softmax, picked by a mask": lambda x, y, one_hot: -x.log_softmax(1)[one_hot.bool()].mean(),
    "log-softmax, selected": lambda x, y, one_hot: -x.log_softmax(1).masked_select(one_hot.bool()).mean(),
    "focal, of sigmoids": lambda x, y, one_hot: focal_of_sigmoids(x, one_hot),
    "focal, of bce": lambda x, y, one_hot: focal_of_bce(x, one_hot),
    "focal, of a mask": lambda x, y, one_hot: focal_of_a_mask(x, one_hot),
}


class Trained(TinyTraining):
    """By one of them."""

    lr_backbone = 1e-3
    steps, window = 60, (30, 60)

    def __init__(self, loss: Loss) -> None:
        self.loss_of = loss
        super().__init__()

    def feature(self, images: Tensor) -> Tensor:
        feature: Tensor = self.model.base(images)
        return feature

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        logits = self.model.classifier(self.model.bottleneck(self.feature(images)))
        return self.loss_of(logits, labels, F.one_hot(labels, self.identities).float())


class Forgotten(Trained):
    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.other_parameters(), lr=1e-3)


class Detached(Trained):
    def feature(self, images: Tensor) -> Tensor:
        return super().feature(images).detach()


class Slow(Trained):
    lr_backbone = lr_head = 1e-6


class Shuffled(Trained):
    steps = 120
    window = (80, 120)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(images, labels[torch.randperm(len(labels))])


class Attributes(TinyTraining):
    """Several of them an image, as bce is mostly used, beside the identity's own CE."""

    def after_building(self) -> None:
        self.attributes = nn.Linear(512, 6)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        which = torch.stack([labels % n == 0 for n in range(2, 8)], 1).float()
        return F.cross_entropy(score, labels) + 0.1 * F.binary_cross_entropy_with_logits(
            self.attributes(feature.detach()), which
        )


class Distances(TinyTraining):
    """To centres that are the head, though no product makes the scores."""

    lr_backbone = 1e-3

    def after_building(self) -> None:
        self.centres = nn.Parameter(0.1 * torch.randn(self.identities, 512))
        self.optimizer.add_param_group({"params": [self.centres], "lr": self.lr_head})

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.neck(self.model.base(images))
        apart = (feature[:, None] - self.centres[None]).pow(2).sum(2)
        return F.cross_entropy(-apart / 2, labels)


class CentresForgotten(Distances):
    def after_building(self) -> None:
        self.centres = nn.Parameter(0.1 * torch.randn(self.identities, 512))


def test_centres_are_a_head_by_their_shape() -> None:
    ledger, judgement = run_tiny(Distances())
    assert [(r.check.code, r.finding) for r in rank(judgement.results)] == []
    assert judgement.verdict.word == "GO", judgement.verdict.reason
    assert not ledger.all(ProbeFault)
    _, judgement = run_tiny(CentresForgotten())
    assert [r.check.code for r in rank(judgement.results)][:1] == ["RS302"]


@pytest.mark.parametrize("name", LOSSES)
def test_a_healthy_one_is_judged_and_left_alone(name: str) -> None:
    ledger, judgement = run_tiny(Trained(LOSSES[name]))
    assert [(r.check.code, r.finding) for r in rank(judgement.results)] == []
    assert judgement.verdict.word == "GO", judgement.verdict.reason
    assert ledger.steps[-1].top1 > 0.3
    assert not ledger.all(ProbeFault)


@pytest.mark.parametrize("name", ["bce", "squares", "margins", "softmax by hand", "focal, of a mask"])
@pytest.mark.parametrize(("fault", "code"), [(Forgotten, "RS302"), (Detached, "RS305"), (Slow, "RS401")])
def test_a_fault_is_named_first(name: str, fault: type[Trained], code: str) -> None:
    ledger, judgement = run_tiny(fault(LOSSES[name]))
    found = rank(judgement.results)
    assert [r.check.code for r in found][:1] == [code], [(r.check.code, r.finding) for r in found]
    assert judgement.verdict.word == "NO-GO"
    assert not ledger.all(ProbeFault)


@pytest.mark.parametrize("name", ["bce", "margins"])
def test_nothing_but_noise_is_at_chance(name: str) -> None:
    _, judgement = run_tiny(Shuffled(LOSSES[name]))
    assert judgement.verdict.word == "NO-GO", judgement.verdict.reason


def test_attributes_are_no_identities() -> None:
    ledger, judgement = run_tiny(Attributes())
    assert judgement.verdict.rule.num_classes == 24
    assert judgement.verdict.word == "GO", judgement.verdict.reason
    assert not ledger.all(ProbeFault)
