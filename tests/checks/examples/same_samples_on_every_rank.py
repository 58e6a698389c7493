from torch import Tensor
from torch.utils.data import DataLoader

from tests.checks.tiny import Crops
from tests.checks.two_ranks import Shuffled, TwoRanks


class NoDistributedSampler(TwoRanks):
    """Both ranks shuffle the whole set, from the same seed."""

    def loader_of(self, rank: int) -> DataLoader[tuple[Tensor, Tensor]]:
        crops = Crops(self.identities)
        return DataLoader(crops, self.batch_size, sampler=Shuffled(range(len(crops))))


class Everybody(TwoRanks):
    """Each batch holds all of few people, on both ranks; the images are not the same."""

    identities = 4

    def loader_of(self, rank: int) -> DataLoader[tuple[Tensor, Tensor]]:
        own = [[16 * who + rank + 2 * ((turn + k) % 8) for who in range(4) for k in (0, 4)] for turn in range(4)]
        return DataLoader(Crops(4, images=16), batch_sampler=own)


SICK = [NoDistributedSampler]
HEALTHY = [Everybody]
