from torch import Tensor, nn

from tests.checks.tiny import TinyTraining


class LeftInEvalByValidation(TinyTraining):
    def train_step(self, images, labels) -> None:
        self.model.eval()
        super().train_step(images, labels)


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


class ValidatesBetween(TinyTraining):
    def after_epoch(self) -> None:
        self.model.eval()
        self.model.train()


SICK = [LeftInEvalByValidation, OnlyTheHolderTrains]
HEALTHY = [ValidatesBetween]
