from torch import Tensor
from torch.utils.data import DataLoader

from tests.checks.tiny import Crops
from tests.checks.two_ranks import Shuffled, TwoRanks


class PeopleDivided(TwoRanks):
    """Each rank has people of its own, every second of them."""

    left_out = 0  # images of the second rank

    def loader_of(self, rank: int) -> DataLoader[tuple[Tensor, Tensor]]:
        crops = Crops(self.identities)
        own = [i for i in range(len(crops)) if int(crops.labels[i]) % 2 == rank]
        return DataLoader(crops, self.batch_size, sampler=Shuffled(own[: len(own) - rank * self.left_out]))


class OneBatchLess(PeopleDivided):
    left_out = 8


class SmallerLastBatch(PeopleDivided):
    left_out = 4


SICK = [OneBatchLess, SmallerLastBatch]
HEALTHY = [PeopleDivided]
