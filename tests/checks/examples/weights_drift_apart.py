from torch import nn

from tests.checks.two_ranks import TwoRanks


class NotWrapped(TwoRanks):
    def shared(self) -> list[nn.Parameter]:
        return []


class HeadBesideTheWrapper(TwoRanks):
    """The backbone is wrapped, and the head, which the loss owns, is not."""

    def shared(self) -> list[nn.Parameter]:
        heads = {id(p) for p in self.head_parameters()}
        return [p for p in super().shared() if id(p) not in heads]


class FrozenBackbone(TwoRanks):
    def make_model(self) -> nn.Module:
        model = super().make_model()
        model.base.requires_grad_(False)
        return model


SICK = [NotWrapped, HeadBesideTheWrapper]
HEALTHY = [FrozenBackbone]
