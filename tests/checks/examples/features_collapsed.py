import torch

from tests.checks.tiny import Model, TinyTraining


class DeadReLU(TinyTraining):
    def make_model(self) -> Model:
        model = Model(self.identities)
        torch.nn.init.constant_(model.base.bn2.bias, -100.0)
        return model


class MostlyDead(TinyTraining):
    """Nine channels in ten are dead; the rest tell people apart."""

    def make_model(self) -> Model:
        model = Model(self.identities)
        with torch.no_grad():
            model.base.bn2.bias[3:] = -100.0
        return model


SICK = [DeadReLU]
HEALTHY = [MostlyDead]
