"""Healthy trainings of the kinds that real code bases hold: no check may say a word about any of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from reid_smoke.checks.catalogue import rank
from reid_smoke.facts import ProbeFault
from tests.checks.examples.loss_does_not_reach_head import centres
from tests.checks.tiny import Crops, Model, TinyTraining, run_tiny


class FrozenBackbone(TinyTraining):
    def after_building(self) -> None:
        self.model.base.requires_grad_(False)


class FrozenBackboneInEval(FrozenBackbone):
    """Frozen with its batch norms' statistics, as `model.train()` is followed by `base.eval()`."""

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.model.base.eval()
        super().train_step(images, labels)


class WarmUpPerStep(TinyTraining):
    def make_scheduler(self) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.LinearLR(self.optimizer, 0.01, total_iters=30)


class ScalerWithAccumulation(TinyTraining):
    def after_building(self) -> None:
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        with torch.autocast("cpu", torch.float16):
            loss = self.loss(images, labels) / 2
        self.scaler.scale(loss).backward()
        if self.step_number % 2 == 0:
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.optimizer.zero_grad()


class SGD(TinyTraining):
    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)


class SGDWithoutMomentum(TinyTraining):
    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            [{"params": self.head_parameters(), "lr": 0.5}, {"params": self.other_parameters(), "lr": 0.05}]
        )


class ListsOfScores(TinyTraining):
    """TransReID: several heads, the first weighs as much as the others together."""

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.classifier_1 = nn.Linear(256, self.identities, bias=False)
        nn.init.normal_(model.classifier_1.weight, std=0.001)
        return model

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.neck(self.model.base(images))
        scores = [self.model.classifier(feature), self.model.classifier_1(feature[:, :256])]
        others = sum(F.cross_entropy(score, labels) for score in scores[1:])
        return 0.5 * F.cross_entropy(scores[0], labels) + 0.5 * others


class ArcFace(TinyTraining):
    """A margin of 0.3 on the angle and a scale of 64: CE of the margin logits starts far above chance."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = F.normalize(self.model.neck(self.model.base(images)))
        cosine = F.linear(feature, F.normalize(self.model.classifier.weight)).clamp(-1 + 1e-6, 1 - 1e-6)
        rows = torch.arange(len(labels))
        margin = torch.zeros_like(cosine)
        margin[rows, labels] = 0.3
        return F.cross_entropy(64.0 * torch.cos(torch.acos(cosine) + margin), labels)


class SmoothedByHand(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        log_probs = self.model(images)[0].log_softmax(1)
        targets = torch.zeros_like(log_probs).scatter_(1, labels[:, None], 1)
        targets = 0.9 * targets + 0.1 / self.identities
        return (-targets * log_probs).mean(0).sum()


class SmoothedByTorch(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images)[0], labels, label_smoothing=0.1)


class TwoOptimizers(TinyTraining):
    def make_optimizer(self) -> torch.optim.Optimizer:
        self.second = torch.optim.SGD(self.head_parameters(), lr=0.5)
        return torch.optim.AdamW(self.other_parameters(), lr=1e-4)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()
        self.second.zero_grad()
        self.loss(images, labels).backward()
        self.optimizer.step()
        self.second.step()


class CentreLoss(TinyTraining):
    """AGW: centres of their own, stepped by a second optimizer after their weight was taken out of the gradient."""

    def make_model(self) -> Model:
        self.centre = nn.Parameter(torch.randn(self.identities, 512))
        return Model(self.identities)

    def make_optimizer(self) -> torch.optim.Optimizer:
        self.centre_optimizer = torch.optim.SGD([self.centre], lr=0.5)
        return super().make_optimizer()

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        return F.cross_entropy(score, labels) + 5e-4 * (feature - self.centre[labels]).pow(2).sum(1).mean()

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.centre_optimizer.zero_grad()
        super().train_step(images, labels)
        self.centre.grad *= 1 / 5e-4
        self.centre_optimizer.step()


class PKOfScatteredLabels(TinyTraining):
    """Four people a batch, whose labels are not contiguous."""

    def make_loader(self) -> DataLoader:
        generator = torch.Generator().manual_seed(0)
        rows = []
        for _ in range(12):
            people = torch.randperm(self.identities, generator=generator)[:4].tolist()
            rows.append([8 * p + k for p in people for k in range(4)])
        return DataLoader(Crops(self.identities), batch_sampler=rows * 9)


class LoRA(TinyTraining):
    """A frozen backbone with a low-rank adapter whose second factor starts at 0."""

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.base.requires_grad_(False)
        model.down = nn.Linear(512, 4, bias=False)
        model.up = nn.Linear(4, 512, bias=False)
        nn.init.zeros_(model.up.weight)
        return model

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.base(images)
        feature = feature + self.model.up(self.model.down(feature))
        return F.cross_entropy(self.model.classifier(self.model.neck(feature)), labels)


class DropoutOfHalf(TinyTraining):
    def make_model(self) -> Model:
        model = Model(self.identities)
        model.classifier = nn.Sequential(nn.Dropout(0.5), model.classifier)
        return model


class EMATeacher(TinyTraining):
    """MMT: a copy that is alive, has batch norms of its own, and follows."""

    def after_building(self) -> None:
        self.teacher = copy.deepcopy(self.model)
        self.teacher.eval()

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        with torch.no_grad():
            self.teacher(images)
        super().train_step(images, labels)
        for slow, fast in zip(self.teacher.parameters(), self.model.parameters(), strict=True):
            slow.data.lerp_(fast.data, 0.01)


class AccumulatesFour(TinyTraining):
    def train_step(self, images: Tensor, labels: Tensor) -> None:
        (self.loss(images, labels) / 4).backward()
        if self.step_number % 4 == 0:
            self.optimizer.step()
            self.optimizer.zero_grad()


class DefaultInitialisation(TinyTraining):
    def make_model(self) -> Model:
        model = Model(self.identities)
        model.classifier.reset_parameters()
        return model


class BiasAndNoNeck(TinyTraining):
    """torchreid: the pooled feature feeds a linear layer with a bias."""

    lr_head = 1e-3

    def make_model(self) -> nn.Module:
        model = Model(self.identities)
        model.bottleneck = nn.Sequential()
        model.classifier = nn.Linear(512, self.identities)
        return model

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model.classifier(self.model.base(images)), labels)


class ClassWeights(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        weights = torch.linspace(0.5, 2.0, self.identities)
        return F.cross_entropy(self.model(images)[0], labels, weight=weights)


class CEAndTriplet(TinyTraining):
    """Half of CE, and the hardest positive and negative by Euclidean distance."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        distance = (feature[:, None] - feature[None]).pow(2).sum(2).clamp_min(1e-12).sqrt()
        same = labels[:, None] == labels[None]
        hardest = (distance * same).amax(1) - (distance + 1e9 * same).amin(1)
        return 0.5 * F.cross_entropy(score, labels) + F.relu(hardest + 0.3).mean()


class CEAndMetric(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        return F.cross_entropy(score, labels) + centres(feature, labels)


class ClippedAtFive(TinyTraining):
    def clip(self) -> None:
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)


class Augmented(TinyTraining):
    """Flips and erasing: no image comes twice as it was, and a corner is blank."""

    def make_dataset(self) -> Dataset[tuple[Tensor, int]]:
        class Flipped(Crops):
            def __getitem__(self, index: int) -> tuple[Tensor, int]:
                image, label = super().__getitem__(index)
                image = image + 0.1 * torch.randn(3, 1, 1)
                image = image.clone()
                image[:, :2, :2] = 0.0
                return image, label

        return Flipped(self.identities)


class MixedUp(TinyTraining):
    """Two CEs of one score, each with its share."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, _ = self.model(0.8 * images + 0.2 * images.flip(0))
        return 0.8 * F.cross_entropy(score, labels) + 0.2 * F.cross_entropy(score, labels.flip(0))


class LogsumexpLessThePicked(TinyTraining):
    """CE by hand, without a log-softmax."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        logits = self.model(images)[0]
        return (logits.logsumexp(1) - logits.gather(1, labels[:, None]).squeeze(1)).mean()


class Memory(torch.autograd.Function):
    """Cosines with centres that are no parameters, and follow the features while backward runs."""

    @staticmethod
    def forward(context: Any, features: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
        context.save_for_backward(features, labels, centres)
        return features @ centres.T

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        features, labels, centres = context.saved_tensors
        into = gradient @ centres
        for feature, label in zip(features, labels, strict=True):
            centres[label] = F.normalize(0.1 * centres[label] + 0.9 * feature, dim=0)
        return into, None, None


class ClusterMemory(TinyTraining):
    """Cluster-contrast: no head at all. What makes the scores is the user's own, and not the layer behind it."""

    lr_backbone = 1e-2

    def make_model(self) -> Model:
        return Model(self.identities, width=32)  # of the last layer's channels

    def after_building(self) -> None:
        self.centres = F.normalize(torch.randn(self.identities, 32))

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        pooled = self.model.base(images).unflatten(1, (32, -1)).mean(2)
        features = F.normalize(self.model.bottleneck(pooled))
        scores = Memory.apply(features, labels, self.centres)  # type: ignore[no-untyped-call]
        return F.cross_entropy(scores / 0.05, labels)


class FocalLoss(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        ce = F.cross_entropy(self.model(images)[0], labels, reduction="none")
        return ((1 - torch.exp(-ce)) * ce).mean()


class Masters(TinyTraining):
    """Weights in bfloat16, and fp32 masters in no module: the optimizer steps these, and they are copied back."""

    lr_backbone = 1e-3

    def make_optimizer(self) -> torch.optim.Optimizer:
        self.model.base.bfloat16()
        self.model.classifier.bfloat16()
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.masters = self.make_masters()
        return torch.optim.Adam(self.masters, lr=1e-3)

    def make_masters(self) -> list[nn.Parameter]:
        return [nn.Parameter(p.detach().float()) for p in self.trained]

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.bottleneck(self.model.base(images.bfloat16()).float())
        return F.cross_entropy(self.model.classifier(feature.bfloat16()).float(), labels)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(images, labels).backward()
        for weight, master in zip(self.trained, self.masters, strict=True):
            assert weight.grad is not None
            master.grad, weight.grad = weight.grad.float(), None
        self.optimizer.step()
        with torch.no_grad():
            for weight, master in zip(self.trained, self.masters, strict=True):
                weight.copy_(master)


class MastersInAModel(Masters):
    """The masters are a copy of the whole model."""

    def make_masters(self) -> list[nn.Parameter]:
        self.copy = copy.deepcopy(self.model).float()
        return [p for p in self.copy.parameters() if p.requires_grad]


class HeadSteppedByHand(TinyTraining):
    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.other_parameters(), lr=1e-4)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        super().train_step(images, labels)
        weight = self.model.classifier.weight
        with torch.no_grad():
            weight -= 0.5 * weight.grad
        weight.grad = None


class TwoSetsInTurns(TinyTraining):
    """A batch of one data set, then one of another with a head of its own; one optimizer steps for both."""

    lr_backbone = 1e-3

    def after_building(self) -> None:
        self.second = nn.Linear(512, 20, bias=False)
        self.optimizer.add_param_group({"params": self.second.parameters(), "lr": 1e-2})

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        super().train_step(images, labels)
        self.optimizer.zero_grad()
        feature = self.model.neck(self.model.base(images.flip(3)))
        F.cross_entropy(self.second(feature), labels % 20).backward()
        self.optimizer.step()


class SteppedInBackward(TinyTraining):
    """An optimizer for each parameter, which steps as soon as its gradient is there, and gives that back."""

    def after_building(self) -> None:
        self.hooks = []
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.requires_grad:
                    stepper = self.stepper_of(parameter, group["lr"])
                    self.hooks.append(parameter.register_post_accumulate_grad_hook(stepper))
        del self.optimizer

    def train(self) -> None:
        super().train()
        for hook in self.hooks:  # parameter, hook and optimizer hold each other, where no garbage collector looks
            hook.remove()

    def stepper_of(self, parameter: Tensor, lr: float) -> Callable[[Tensor], None]:
        own = torch.optim.AdamW([parameter], lr=lr)

        def step(_: Tensor) -> None:
            own.step()
            own.zero_grad()

        return step

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(images, labels).backward()


CONTROLS = [
    value
    for value in list(vars().values())
    if isinstance(value, type) and issubclass(value, TinyTraining) and value.__module__ == __name__
]


@pytest.mark.parametrize("control", [TinyTraining, *CONTROLS], ids=lambda control: control.__name__)
def test_a_healthy_training_is_left_alone(control: type[TinyTraining]) -> None:
    ledger, judgement = run_tiny(control())
    assert [(r.check.code, r.finding) for r in rank(judgement.results)] == []
    assert judgement.verdict.word == "GO", judgement.verdict.reason
    assert not [r for r in judgement.results if r.status == "error"]
    assert not ledger.all(ProbeFault)
