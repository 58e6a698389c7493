import torch

from tests.checks.by_hand import SteppedByHand
from tests.checks.tiny import Model, TinyTraining


class CaughtByThePattern(TinyTraining):
    def make_model(self) -> Model:
        model = Model(self.identities)
        for name, parameter in model.named_parameters():
            parameter.requires_grad = not name.startswith(("classifier", "bottleneck.bias"))
        return model


class ItsOwnOptimizerIsLeftOut(CaughtByThePattern):
    """As the trainers of pytorch-metric-learning do with whatever is frozen."""

    def make_optimizer(self) -> torch.optim.Optimizer:
        self.of_head = torch.optim.AdamW(self.head_parameters(), self.lr_head)
        return torch.optim.AdamW(self.other_parameters(), self.lr_backbone)


class SteppedByAnOptimizerThatIsNoneOfTorchs(CaughtByThePattern, SteppedByHand):
    """As fastai's own: no hook of torch's tells of its steps, and a frozen head does not show them."""


class BackboneFrozenOnPurpose(TinyTraining):
    def make_model(self) -> Model:
        model = Model(self.identities)
        model.base.requires_grad_(False)
        return model


SICK = [CaughtByThePattern, ItsOwnOptimizerIsLeftOut, SteppedByAnOptimizerThatIsNoneOfTorchs]
HEALTHY = [BackboneFrozenOnPurpose]
