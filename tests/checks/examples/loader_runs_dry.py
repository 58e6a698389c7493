from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from tests.checks.tiny import Crops, TinyTraining


class UsedUp(Sampler[int]):
    """Draws its order once, and pops from it."""

    def __init__(self, images: int) -> None:
        self.order = torch.randperm(images).tolist()

    def __len__(self) -> int:
        return 192

    def __iter__(self) -> Iterator[int]:
        while self.order:
            yield self.order.pop()


class TheFirstEpochEatsTheData(TinyTraining):
    def make_loader(self) -> DataLoader:
        return DataLoader(Crops(self.identities), 16, sampler=UsedUp(192))

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(10):
            yield from self.loader


class OneIteratorForAllEpochs(TinyTraining):
    """It is made before the first of them."""

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        loader = iter(self.loader)
        for _ in range(10):
            yield from loader


class EmptyValidationSet(TinyTraining):
    """Another loader that gives nothing is not the training's."""

    def after_epoch(self) -> None:
        for _ in DataLoader([], 16):
            pass


class AskedOnceMore(TinyTraining):
    """A prefetcher is a batch ahead, and asks once more when it has handed out the last one."""

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            loader = iter(self.loader)
            ahead = next(loader)
            while ahead is not None:
                batch, ahead = ahead, next(loader, None)
                yield batch
            next(loader, None)


class TwoLoadersByTurns(TinyTraining):
    """The shorter one is at its end, and is asked by each turn all the same."""

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            short, long = iter(self.loader), iter(self.loader)
            next(short)
            for batch in long:
                yield next(short, batch)
            while next(short, None) is not None:
                pass


SICK = [TheFirstEpochEatsTheData, OneIteratorForAllEpochs]
HEALTHY = [EmptyValidationSet, AskedOnceMore, TwoLoadersByTurns]
