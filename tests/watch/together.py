"""A tiny training whose ranks train together."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from tests.checks.tiny import Crops, TinyTraining


class TogetherTraining(TinyTraining):
    """The process group is there when it is made."""

    steps = 50
    epoch = 0

    def make_loader(self) -> DataLoader[tuple[Tensor, int]]:
        crops = Crops()
        return DataLoader(crops, 16, sampler=DistributedSampler(crops), drop_last=True)

    def make_model(self) -> nn.Module:
        return DistributedDataParallel(super().make_model())

    def after_epoch(self) -> None:
        self.epoch += 1
        self.loader.sampler.set_epoch(self.epoch)
