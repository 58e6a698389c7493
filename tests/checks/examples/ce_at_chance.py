import torch
from torch import Tensor

from tests.checks.examples.labels_unrelated_to_images import Clothes
from tests.checks.tiny import Backbone, Crops, Model, TinyTraining


class Blurred(Backbone):
    """What comes out of the first convolution is drowned in noise: the images are in order, and the model sees none."""

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.bn1(self.conv1(images))
        hidden = torch.relu(0.01 * hidden + torch.randn_like(hidden))
        return torch.relu(self.bn2(self.conv2(hidden))).flatten(1)


class SeesNothing(TinyTraining):
    """Nothing is wrong with the wiring, but features carry nothing of the images."""

    def make_dataset(self) -> Crops:
        return Clothes(self.identities)

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.base = Blurred()
        return model


class NothingYetForTenSteps(TinyTraining):
    """A warm-up per step: CE lies flat at first, and that is healthy."""

    def make_scheduler(self):
        return torch.optim.lr_scheduler.LinearLR(self.optimizer, 0.001, total_iters=30)


SICK = [SeesNothing]
HEALTHY = [NothingYetForTenSteps]
