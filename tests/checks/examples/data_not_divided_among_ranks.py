from torch import Tensor
from torch.utils.data import DataLoader

from tests.checks.tiny import Crops
from tests.checks.two_ranks import Shuffled, TwoRanks


class EachFromItsOwnSeed(TwoRanks):
    """Both ranks shuffle the whole set, each from a seed of its own."""

    def loader_of(self, rank: int) -> DataLoader[tuple[Tensor, Tensor]]:
        crops = Crops(self.identities)
        return DataLoader(crops, self.batch_size, sampler=Shuffled(range(len(crops)), seed=rank))


class Divided(TwoRanks):
    def loader_of(self, rank: int) -> DataLoader[tuple[Tensor, Tensor]]:
        crops = Crops(self.identities)
        return DataLoader(crops, self.batch_size, sampler=Shuffled(range(rank, len(crops), 2), seed=rank))


SICK = [EachFromItsOwnSeed]
HEALTHY = [Divided]
