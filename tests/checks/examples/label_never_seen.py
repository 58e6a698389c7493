from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from tests.checks.tiny import Crops, Model, TinyTraining


class PidZeroLost(TinyTraining):
    """`or -1` took pid 0 for junk, after the classes had been counted."""

    def make_dataset(self) -> Crops:
        crops = Crops(self.identities)
        crops.images, crops.labels = crops.images[crops.labels > 0], crops.labels[crops.labels > 0]
        return crops


class OneBasedInAWiderHead(TinyTraining):
    def make_dataset(self) -> Crops:
        crops = Crops(self.identities)
        crops.labels += 1
        return crops

    def make_model(self) -> Model:
        return Model(self.identities + 1)


class RareIdentities(TinyTraining):
    """Half of the people have one image each: all of them come up, once an epoch."""

    def make_loader(self) -> DataLoader:
        crops = Crops(self.identities)
        keep = [i for i in range(len(crops)) if crops.labels[i] < 12 or i % 8 == 0]
        crops.images, crops.labels = crops.images[keep], crops.labels[keep]
        return DataLoader(crops, self.batch_size, shuffle=True)


class ZeroIsForTheUnlabelled(OneBasedInAWiderHead):
    """As in person search: label 0 is that of whoever is not known, and the loss ignores it."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images)[0], labels, ignore_index=0)


SICK = [PidZeroLost, OneBasedInAWiderHead]
HEALTHY = [RareIdentities, ZeroIsForTheUnlabelled]
