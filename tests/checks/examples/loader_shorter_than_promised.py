import torch
from torch.utils.data import DataLoader, Sampler

from tests.checks.tiny import Crops, TinyTraining


class Batches(Sampler[list[int]]):
    """Draws images anew for each epoch, and says that it has more of them than it has."""

    def __init__(self, images: int, given: int, promised: int) -> None:
        self.images, self.given, self.promised = images, given, promised

    def __len__(self) -> int:
        return self.promised

    def __iter__(self):
        order = torch.randperm(self.images)
        return (order[16 * i : 16 * i + 16].tolist() for i in range(self.given))


class PromisesAHundred(TinyTraining):
    given, promised = 11, 100

    def make_loader(self) -> DataLoader:
        return DataLoader(Crops(self.identities), batch_sampler=Batches(192, self.given, self.promised))


class EstimatesItsLength(PromisesAHundred):
    """A PK sampler that stops when fewer than P identities are left."""

    given, promised = 10, 12


class ByTurns(Batches):
    """A few clusters have most of the images: what is left over when P of them are no more is now little, now half."""

    def __iter__(self):
        self.given = {11: 5, 5: 11}[self.given]
        return super().__iter__()


class OfUnequalClusters(PromisesAHundred):
    def make_loader(self) -> DataLoader:
        return DataLoader(Crops(self.identities), batch_sampler=ByTurns(192, 11, 12))


SICK = [PromisesAHundred]
HEALTHY = [EstimatesItsLength, OfUnequalClusters]
