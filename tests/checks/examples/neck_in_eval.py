from tests.checks.tiny import TinyTraining


class NeckInEval(TinyTraining):
    """A function that puts batch norms in eval, called after `model.train()`."""

    def train_step(self, images, labels) -> None:
        self.model.bottleneck.eval()
        super().train_step(images, labels)


class BackboneInEval(TinyTraining):
    """Frozen, and its batch norms in eval with it."""

    def after_building(self) -> None:
        self.model.base.requires_grad_(False)

    def train_step(self, images, labels) -> None:
        self.model.base.eval()
        super().train_step(images, labels)


SICK = [NeckInEval]
HEALTHY = [BackboneInEval]
