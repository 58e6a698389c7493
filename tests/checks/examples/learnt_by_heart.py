import torch
from torch import Tensor

from tests.checks.examples.labels_unrelated_to_images import Clothes
from tests.checks.tiny import Backbone, Crops, Model, TinyTraining


class ColourTakenAway(Backbone):
    """A normalisation takes away each line's own colour, which is all that tells these people apart."""

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.conv1(images)[..., 1:-1]  # at the edges the padding would give it away
        hidden = hidden - hidden.mean(3, keepdim=True)
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(hidden))))).flatten(1)


class OnlyTheNoiseIsLeft(TinyTraining):
    """The labels fit the images. The model sees nothing but each image's own noise, and learns that by heart."""

    steps, window = 60, (40, 60)

    def make_dataset(self) -> Crops:
        return Clothes(self.identities, images=24)

    def make_model(self) -> Model:
        model = Model(self.identities, width=384)
        model.base = ColourTakenAway()
        return model


class AnyOrderWillDo(TinyTraining):
    """Labels permuted among the identities, all images of one together: another numbering, and no fault."""

    def make_dataset(self) -> Crops:
        crops = Crops(self.identities, images=24)
        crops.labels = torch.randperm(self.identities)[crops.labels]
        return crops


SICK = [OnlyTheNoiseIsLeft]
HEALTHY = [AnyOrderWillDo]
