from collections.abc import Iterator

from torch import Tensor
from torch.utils.data import DataLoader

from tests.checks.tiny import Crops, TinyTraining


class KeepsItsFirstBatch(TinyTraining):
    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        kept = next(iter(self.loader))
        while True:
            yield kept


class KeepsItsBatchForAnEpoch(TinyTraining):
    """A prefetcher that hands out its first batch as often as the loader has one."""

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            kept = None
            for batch in self.loader:
                kept = kept or batch
                yield kept


class SameIdentitiesNewImages(TinyTraining):
    """A sampler that starts from the same seed in each epoch, and an epoch of one batch."""

    def make_loader(self) -> DataLoader:
        crops = Crops(self.identities)
        return DataLoader(crops, batch_sampler=[[8 * p + k for p in range(4) for k in range(4)]] * 12)


class NumberedAnewInEachBatch(TinyTraining):
    """The people change, and 0 is somebody else each time."""

    def make_loader(self) -> DataLoader:
        crops = Crops(self.identities)
        batches = [[8 * ((p + at) % self.identities) + k for p in range(4) for k in range(4)] for at in range(12)]
        return DataLoader(crops, batch_sampler=batches)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(images, labels.unique(return_inverse=True)[1])


class AllIdentitiesInEveryBatch(TinyTraining):
    """Few people and many images: each batch has the same labels, all of them."""

    identities = 8
    steps = 60
    window = (30, 60)

    def make_loader(self) -> DataLoader:
        crops = Crops(self.identities, images=24)
        return DataLoader(crops, batch_sampler=[[24 * p + k for p in range(8) for k in (i, i + 12)] for i in range(12)])


SICK = [KeepsItsFirstBatch, KeepsItsBatchForAnEpoch, SameIdentitiesNewImages, NumberedAnewInEachBatch]
HEALTHY = [AllIdentitiesInEveryBatch]
