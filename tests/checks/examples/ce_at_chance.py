import torch
from torch import Tensor

from tests.checks.examples.labels_unrelated_to_images import Clothes
from tests.checks.tiny import Backbone, Crops, Model, TinyTraining


class LightOnly(Backbone):
    """What comes out of the first convolution is averaged away but for how bright the image is."""

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.conv1(images)
        brightness = hidden.mean((2, 3), keepdim=True).mean(1, keepdim=True)  # (B, 1, 1, 1)
        noise = torch.randn_like(hidden)
        return torch.relu(self.bn2(self.conv2(brightness + 0.02 * noise))).flatten(1)


class SeesNothing(TinyTraining):
    """Nothing is wrong with the wiring, but features tell how bright an image is, and nobody apart."""

    def make_dataset(self) -> Crops:
        return Clothes(self.identities)

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.base = LightOnly()
        return model


class NothingYetForTenSteps(TinyTraining):
    """A warm-up per step: CE lies flat at first, and that is healthy."""

    def make_scheduler(self):
        return torch.optim.lr_scheduler.LinearLR(self.optimizer, 0.001, total_iters=30)


SICK = [SeesNothing]
HEALTHY = [NothingYetForTenSteps]
