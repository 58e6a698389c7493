from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class NeckInEval(TinyTraining):
    """A function that puts batch norms in eval, called after `model.train()`."""

    def train_step(self, images, labels) -> None:
        self.model.bottleneck.eval()
        super().train_step(images, labels)


class FeatureStaysSmall(NeckInEval):
    """What a plain neck would bring to its size comes to the classifier as small as the backbone makes it."""

    lr_head = lr_backbone = 3e-4

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.base(images) / 1000
        return F.cross_entropy(self.model.classifier(self.model.bottleneck(feature)), labels)


class BackboneInEval(TinyTraining):
    """Frozen, and its batch norms in eval with it."""

    def after_building(self) -> None:
        self.model.base.requires_grad_(False)

    def train_step(self, images, labels) -> None:
        self.model.base.eval()
        super().train_step(images, labels)


SICK = [NeckInEval, FeatureStaysSmall]
HEALTHY = [BackboneInEval]
