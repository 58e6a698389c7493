import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.tiny import Backbone, TinyTraining


class SmallWeights(nn.Module):
    """A classifier on a pooled feature; weights as old code bases draw them, whose batch norms bring them to size."""

    def __init__(self, identities: int) -> None:
        super().__init__()
        self.base = Backbone()
        for layer in (self.base.conv1, self.base.conv2):
            nn.init.normal_(layer.weight, std=0.001)
        self.classifier = nn.Linear(512, identities, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.base(images))


class FixedFromScratch(TinyTraining):
    """What a recipe for fine-tuning does after `model.train()`, without a checkpoint."""

    lr_head = 3e-4

    def make_model(self) -> nn.Module:
        return SmallWeights(self.identities)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images), labels)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.fix()
        super().train_step(images, labels)

    def fix(self) -> None:
        for module in self.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


class FixedAfterMeasuring(FixedFromScratch):
    """The same, with statistics of the data."""

    steps, window = 60, (40, 60)

    def after_building(self) -> None:
        with torch.no_grad():
            for _ in range(5):
                for images, _ in self.loader:
                    self.model(images)


class FixedAndServing(TinyTraining):
    """Nothing measured, and CE falls: the weights were drawn for going without."""

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.model.base.eval()
        super().train_step(images, labels)


SICK = [FixedFromScratch]
HEALTHY = [FixedAfterMeasuring, FixedAndServing]
