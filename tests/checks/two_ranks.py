"""A training on two ranks, in one process: each rank is trained and watched by itself, one after the other.

What the ranks exchange is computed twice instead: each rank also computes the gradient of the other's batch, by
`torch.autograd.grad`, which no hook of ours listens to, and applies the mean. So both make the same steps, as
DistributedDataParallel would have them do, and an example changes on one rank what goes wrong there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from reid_smoke.facts import AnyFact, EndFacts, LoaderFacts, RankEndFacts, StepFacts
from reid_smoke.ledger import Ledger
from reid_smoke.probes.observer import Observer
from reid_smoke.rank_files import Condenser
from reid_smoke.watch.hooks import observing
from tests.checks.tiny import Crops, TinyTraining


class Shuffled:
    """Some indices in an order that follows from seed and epoch alone."""

    def __init__(self, indices: Iterable[int], seed: int = 0) -> None:
        self.indices, self.seed, self.epoch = list(indices), seed, 0

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        self.epoch += 1
        generator = torch.Generator().manual_seed(1000 * self.seed + self.epoch)
        return iter(self.indices[i] for i in torch.randperm(len(self.indices), generator=generator))


class TwoRanks(TinyTraining):
    """The first of two ranks; what it knows beforehand is what the second has seen."""

    rank = 0
    ranks = 2
    batch_size = 8
    steps = 40
    window = (25, 40)

    def __init__(self, rank: int = 0) -> None:
        self.rank = rank
        super().__init__()

    def known_beforehand(self) -> list[AnyFact]:
        ledger, second = Ledger(), type(self)(rank=1)
        observer = Observer(ledger)
        with observing(observer):
            second.train()
            observer.finish("finished")
        condenser, told = Condenser(1), list[AnyFact]()
        for kind in (LoaderFacts, StepFacts):
            for fact in ledger.all(kind):
                told += condenser.add(fact)
        end = ledger.last(EndFacts)
        assert end is not None
        return [*told, *condenser.last(), RankEndFacts(rank=1, step=end.step, how=end.how)]

    # --- the data, divided ---

    def make_loader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        return self.loader_of(self.rank)

    def loader_of(self, rank: int) -> DataLoader[tuple[Tensor, Tensor]]:
        crops = Crops(self.identities)
        sampler = DistributedSampler(crops, num_replicas=2, rank=rank)
        return DataLoader(crops, self.batch_size, sampler=sampler, drop_last=True)

    def after_building(self) -> None:
        self.others = self.batches_of_the_other()

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch = 0
        while True:
            self.set_epoch(self.loader, epoch)
            yield from self.loader
            epoch += 1

    def batches_of_the_other(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Not by a DataLoader, which the observer listens to."""
        loader, epoch = self.loader_of(1 - self.rank), 0
        while True:
            self.set_epoch(loader, epoch)
            for indices in loader.batch_sampler:
                images, labels = zip(*(loader.dataset[i] for i in indices), strict=True)
                yield torch.stack(images), torch.tensor(labels)
            epoch += 1

    def set_epoch(self, loader: DataLoader[tuple[Tensor, Tensor]], epoch: int) -> None:
        if isinstance(loader.sampler, DistributedSampler):
            loader.sampler.set_epoch(epoch)

    # --- the gradient, averaged ---

    def shared(self) -> list[nn.Parameter]:
        return [p for p in self.model.parameters() if p.requires_grad]

    def others_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.loss(images, labels)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        shared = self.shared()
        theirs = torch.autograd.grad(self.others_loss(*next(self.others)), shared, allow_unused=True) if shared else ()
        self.optimizer.zero_grad()
        self.loss(images, labels).backward()
        for parameter, their in zip(shared, theirs, strict=True):
            if parameter.grad is not None and their is not None:
                parameter.grad = (parameter.grad + their) / 2
        self.apply()

    def apply(self) -> None:
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
