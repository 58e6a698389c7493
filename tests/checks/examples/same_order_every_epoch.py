from torch import Tensor
from torch.utils.data import DataLoader

from tests.checks.two_ranks import TwoRanks


class EpochIsNotSet(TwoRanks):
    def set_epoch(self, loader: DataLoader[tuple[Tensor, Tensor]], epoch: int) -> None:
        pass


SICK = [EpochIsNotSet]
HEALTHY = [TwoRanks]
