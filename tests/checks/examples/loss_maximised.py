from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.tiny import Model, TinyTraining


class ExtraMinus(TinyTraining):
    steps = 40
    window = (20, 40)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return -F.cross_entropy(self.model(images)[0], labels)


class TwoMinusesByHand(ExtraMinus):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        picked = -self.model(images)[0].log_softmax(1).gather(1, labels[:, None])
        return -picked.mean()


class SmoothedWithPlus(ExtraMinus):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        targets = F.one_hot(labels, self.identities) * 0.9 + 0.1 / self.identities
        return (targets * self.model(images)[0].log_softmax(1)).mean(0).sum()


class AnOptionOfTheOptimizer(TinyTraining):
    steps = 40
    window = (20, 40)

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.02, maximize=True)


class TurnedAround(TinyTraining):
    steps = 40
    window = (20, 40)

    def clip(self) -> None:
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.grad.neg_()


class TurnedAroundBesideSmoothing(TurnedAround):
    """Smoothed by hand: the labels are the largest of the targets."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return OneMinusByHand.loss(self, images, labels)  # type: ignore[arg-type]


class ReversedAtTheLogits(TinyTraining):
    """A gradient reversal left from domain adaptation turns the whole loss around, gently enough not to overshoot."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, _ = self.model(images)
        score.register_hook(lambda gradient: -gradient)
        return 0.03 * F.cross_entropy(score, labels)

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.2)


class Climber(torch.optim.Optimizer):
    """Written by hand, with a sign too few."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.add_(parameter.grad, alpha=group["lr"])


class ByHand(TinyTraining):
    steps = 40
    window = (20, 40)

    def make_optimizer(self) -> torch.optim.Optimizer:
        return Climber(self.model.parameters(), lr=0.02)


class ByHandWithAClosure(ByHand):
    """Backward runs within the optimizer's step."""

    def make_optimizer(self) -> torch.optim.Optimizer:
        return ClimbsAfterItsClosure(self.model.parameters(), lr=0.02)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        def closure() -> Tensor:
            self.optimizer.zero_grad()
            loss = self.loss(images, labels)
            loss.backward()
            return loss

        self.optimizer.step(closure)


class ClimbsAfterItsClosure(Climber):
    def step(self, closure: Any = None) -> None:
        closure()
        super().step()


class WithAClosure(ByHandWithAClosure):
    steps = 60
    window = (40, 60)

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)


class Sharpness(torch.optim.Optimizer):
    """SAM: up to where the loss is worst nearby, and from there down, back where it was, with that gradient."""

    def __init__(self, parameters: Iterable[Tensor], inner: Any, rho: float = 0.05, **options: Any) -> None:
        super().__init__(parameters, {"rho": rho, **options})
        self.inner = inner(self.param_groups, **options)
        self.param_groups = self.inner.param_groups

    @torch.no_grad()
    def first_step(self) -> None:
        with_gradient = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.stack([p.grad.norm() for p in with_gradient]).norm()
        for parameter in with_gradient:
            self.state[parameter]["here"] = parameter.clone()
            parameter.add_(parameter.grad / norm, alpha=self.param_groups[0]["rho"])
        self.zero_grad()

    @torch.no_grad()
    def second_step(self) -> None:
        for parameter in [p for group in self.param_groups for p in group["params"] if p.grad is not None]:
            parameter.copy_(self.state[parameter]["here"])
        self.inner.step()
        self.zero_grad()


class OnlyTheFirstStepOfTwo(TinyTraining):
    def make_optimizer(self) -> Sharpness:
        return Sharpness(self.model.parameters(), torch.optim.Adam, lr=1e-3)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(images, labels).backward()
        self.optimizer.first_step()


class BothSteps(OnlyTheFirstStepOfTwo):
    steps = 80
    window = (60, 80)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        super().train_step(images, labels)
        self.loss(images, labels).backward()
        self.optimizer.second_step()


class ByHandWithoutAnOptimizer(TinyTraining):
    sign = 1.0

    @torch.no_grad()
    def update(self) -> None:
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.add_(parameter.grad, alpha=self.sign * 0.1)
                parameter.grad = None

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(images, labels).backward()
        self.update()


class DownByHand(ByHandWithoutAnOptimizer):
    sign = -1.0


class Reversal(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return -0.5 * gradient


class BehindAReversal(Model):
    def neck(self, global_feat: Tensor) -> Tensor:
        return super().neck(Reversal.apply(global_feat))  # type: ignore[no-any-return, no-untyped-call]


class BackboneTurned(TinyTraining):
    def make_model(self) -> nn.Module:
        return BehindAReversal(self.identities)


class CamerasForgotten(TinyTraining):
    """The reversal where it belongs: before the head of the cameras."""

    def after_building(self) -> None:
        self.cameras = nn.Linear(512, 2)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        cameras = self.cameras(Reversal.apply(feature))  # type: ignore[no-untyped-call]
        return F.cross_entropy(score, labels) + 0.1 * F.cross_entropy(cameras, labels % 2)


class Accumulated(TinyTraining):
    """The last of several batches asks for something else than all of them together."""

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        (self.loss(images, labels) / 4).backward()
        if self.step_number % 4 == 0:
            self.optimizer.step()
            self.optimizer.zero_grad()


class RewardMaximised(AnOptionOfTheOptimizer):
    """Twice turned is not turned: -CE is the reward."""

    steps = 100
    window = (60, 100)

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9, maximize=True)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return -F.cross_entropy(self.model(images)[0], labels)


class OneMinusByHand(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        targets = F.one_hot(labels, self.identities) * 0.9 + 0.1 / self.identities
        return (-targets * self.model(images)[0].log_softmax(1)).mean(0).sum()


SICK = [
    ExtraMinus, TwoMinusesByHand, SmoothedWithPlus, AnOptionOfTheOptimizer, TurnedAround, ByHand, BackboneTurned,
    ReversedAtTheLogits, TurnedAroundBesideSmoothing, ByHandWithAClosure,
    OnlyTheFirstStepOfTwo, ByHandWithoutAnOptimizer,
]  # fmt: skip
HEALTHY = [OneMinusByHand, RewardMaximised, CamerasForgotten, Accumulated, WithAClosure, BothSteps, DownByHand]
