import torch

from tests.checks.centres import WithCentres
from tests.checks.tiny import Model, TinyTraining


class OneLearningRate(TinyTraining):
    lr_head = lr_backbone = 1e-5


class OneLearningRateBesideCentres(WithCentres):
    """CE's gradient at the feature is as small as its head: that is no other loss's doing."""

    lr_head = lr_backbone = 1e-5


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


class WarmUpPerStep(TinyTraining):
    def make_scheduler(self):
        return torch.optim.lr_scheduler.LinearLR(self.optimizer, 0.01, total_iters=20)


SICK = [OneLearningRate, OneLearningRateBesideCentres, LargeRandomHead, TheRestLearns]
HEALTHY = [WarmUpPerStep]
