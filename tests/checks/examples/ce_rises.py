import torch

from tests.checks.tiny import Model, TinyTraining


class GradientsOfNoise(TinyTraining):
    """Noise is added to the gradients, as for differential privacy, and buries them."""

    steps = 100
    window = (60, 100)
    lr_head = 0.018

    def clip(self) -> None:
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.grad.add_(torch.randn_like(parameter.grad), alpha=10)


class ScaleOf64(TinyTraining):
    """A margin softmax at scale 64 starts far above chance and falls."""

    def make_model(self) -> Model:
        model = Model(self.identities)
        torch.nn.init.normal_(model.classifier.weight, std=0.3)
        return model


SICK = [GradientsOfNoise]
HEALTHY = [ScaleOf64]
