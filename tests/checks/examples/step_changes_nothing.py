from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.tiny import Model, TinyTraining


class StepsACopy(torch.optim.Optimizer):
    def __init__(self, params: object, lr: float) -> None:
        super().__init__(params, {"lr": lr})  # type: ignore[arg-type]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter = parameter - group["lr"] * parameter.grad


class OptimizerOfOnesOwn(TinyTraining):
    steps, window = 40, (20, 40)

    def make_optimizer(self) -> torch.optim.Optimizer:
        return StepsACopy(self.model.parameters(), lr=0.1)


class RoundedAway(TinyTraining):
    """The whole model in bf16, at a learning rate of fine-tuning, and a head that is drawn as torch draws it."""

    steps, window = 40, (20, 40)
    lr = 1e-6

    def make_model(self) -> nn.Module:
        model = Model(self.identities)
        nn.init.constant_(model.classifier.weight, 0.05)
        return model.bfloat16()

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.parameters(), lr=self.lr, weight_decay=0.0)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images.bfloat16())[0].float(), labels)


class LargeEnough(RoundedAway):
    lr = 1e-2
    steps, window = 60, (40, 60)


SICK = [OptimizerOfOnesOwn, RoundedAway]
HEALTHY = [LargeEnough]
