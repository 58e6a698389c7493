import torch
from torch import nn

from tests.checks.by_hand import SteppedBySigns
from tests.checks.centres import WithCentres
from tests.checks.tiny import Model, TinyTraining


class OneLearningRate(TinyTraining):
    lr_head = lr_backbone = 1e-5


class OneLearningRateBesideCentres(WithCentres):
    """CE's gradient at the feature is as small as its head: that is no other loss's doing."""

    lr_head = lr_backbone = 1e-5


class LostTheMinusOfEps(TinyTraining):
    """eps=1e8: Adam divides by that alone."""

    eps = 1e8

    def make_optimizer(self) -> torch.optim.Optimizer:
        optimizer = super().make_optimizer()
        for group in optimizer.param_groups:
            group["eps"] = self.eps
        return optimizer


class AnEpsOfSomeSize(LostTheMinusOfEps):
    """timm's default of other optimizers; the gradient's elements are larger."""

    eps = 1e-3


class SteppedTooLittleByHand(SteppedBySigns):
    """As by optimizers that are none of torch's: their learning rate stands nowhere, and the head shows it."""

    lr_by_hand = 1e-6


class SteppedFarEnoughByHand(SteppedBySigns):
    lr_by_hand = 1e-2


class LargeRandomHead(TinyTraining):
    """PyTorch's own initialisation: the logits are wide from the start, and stay where they are."""

    lr_head = lr_backbone = 1e-6

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.classifier.reset_parameters()
        return model


class TheRestLearns(LargeRandomHead):
    """The neck suits itself to a random head that stands still: CE falls, slowly."""

    lr_head, lr_backbone = 1e-6, 3e-4


class WarmUpToTooLittle(TinyTraining):
    """It rises beyond the window, and where it leads is no learning rate for a head either."""

    lr_head = lr_backbone = 1e-5

    def make_scheduler(self):
        return torch.optim.lr_scheduler.LinearLR(self.optimizer, 0.1, total_iters=200)


class WarmUpOfThousandEpochs(TinyTraining):
    """It rises, but nobody will see it arrive."""

    lr_head = lr_backbone = 1e-2

    def after_epoch(self):
        self.scheduled.step()

    def after_building(self):
        self.scheduled = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda epoch: 1e-3 + epoch / 1000)


class OneCycleOfTooManySteps(TinyTraining):
    """Its length was counted in images, not in batches."""

    def make_scheduler(self):
        return torch.optim.lr_scheduler.OneCycleLR(self.optimizer, 1e-2, total_steps=100_000, div_factor=1e4)


class WarmUpPerStep(TinyTraining):
    def make_scheduler(self):
        return torch.optim.lr_scheduler.LinearLR(self.optimizer, 0.01, total_iters=20)


class BesideAFrozenTower(LargeRandomHead):
    """Prompts that an earlier stage is done with: no image passes them, random as they are."""

    def make_model(self) -> Model:
        model = super().make_model()
        model.prompts = nn.Sequential(nn.Linear(512, 64), nn.Linear(64, 512)).requires_grad_(False)
        return model


SICK = [
    OneLearningRate, OneLearningRateBesideCentres, LargeRandomHead, TheRestLearns, WarmUpToTooLittle,
    WarmUpOfThousandEpochs, OneCycleOfTooManySteps, BesideAFrozenTower, SteppedTooLittleByHand, LostTheMinusOfEps,
]  # fmt: skip
HEALTHY = [WarmUpPerStep, SteppedFarEnoughByHand, AnEpsOfSomeSize]
