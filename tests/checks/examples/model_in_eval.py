import torch
from torch import Tensor, nn

from tests.checks.tiny import Model, TinyTraining


class LeftInEvalByValidation(TinyTraining):
    def train_step(self, images, labels) -> None:
        self.model.eval()
        super().train_step(images, labels)


class FeatureInEval(Model):
    """As OSNet and many more: what is retrieved with comes out in eval mode, instead of logits."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        feat = self.base(images)
        return (self.classifier(self.neck(feat)) if self.training else feat), feat


class GivesItsFeature(LeftInEvalByValidation):
    lr_backbone = 1e-6
    steps = 140  # 512 channels are 512 classes, which take 128 to be looked at four times

    def make_model(self) -> nn.Module:
        return FeatureInEval(self.identities)


class LearnsWithItsFeature(GivesItsFeature):
    """With a rate at which the feature fits the labels as scores would: CE falls, and the classifier never learns."""

    lr_backbone = 3e-3


class Holder(nn.Module):
    """As trainers want their module: the model is an attribute."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.net(images)


class OnlyTheHolderTrains(TinyTraining):
    def make_model(self) -> nn.Module:
        return Holder(super().make_model())

    def train_step(self, images, labels) -> None:
        self.model.net.eval()
        super().train_step(images, labels)


class Unbounded(Model):
    def neck(self, global_feat: Tensor) -> Tensor:
        return self.bottleneck(global_feat)


class ARateThatOnlyBatchNormBears(TinyTraining):
    """As long as it follows the batch."""

    steps, window = 90, (60, 90)
    in_training_until = 90

    def make_model(self) -> nn.Module:
        return Unbounded(self.identities)

    def make_optimizer(self) -> torch.optim.Optimizer:
        groups = [{"params": self.head_parameters(), "lr": 0.05}, {"params": self.other_parameters(), "lr": 0.3}]
        return torch.optim.SGD(groups, momentum=0.9)

    def train_step(self, images, labels) -> None:
        self.model.train(self.step_number <= self.in_training_until)
        super().train_step(images, labels)


class LeftInEvalAfterAFewSteps(ARateThatOnlyBatchNormBears):
    """CE is no number any more soon after, long before the window, and the training is stopped there."""

    steps, in_training_until = 40, 5


class ValidatesBetween(TinyTraining):
    def after_epoch(self) -> None:
        self.model.eval()
        self.model.train()


SICK = [LeftInEvalByValidation, GivesItsFeature, LearnsWithItsFeature, OnlyTheHolderTrains, LeftInEvalAfterAFewSteps]
HEALTHY = [ValidatesBetween, ARateThatOnlyBatchNormBears]
