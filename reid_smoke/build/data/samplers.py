"""Which images make a batch. A sampler yields whole batches, and its length is exactly how many it yields."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from reid_smoke.errors import DataError


class BatchPlan(NamedTuple):
    """One batch to be: which images, and the seed of what is done to them.

    The seed travels with the batch so that it is the same batch however many loader processes there are.
    """

    indices: list[int]
    seed: int


class BatchSampler(Sampler[BatchPlan]):
    """Base of the samplers. Each iteration is one epoch with an order of its own, which follows from seed and epoch."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._epoch = 0

    def __iter__(self) -> Iterator[BatchPlan]:
        random = np.random.default_rng([self._seed, self._epoch])
        self._epoch += 1
        for indices in self._batches(random):
            yield BatchPlan(indices, int(random.integers(2**63)))

    @abstractmethod
    def __len__(self) -> int:
        """Batches an epoch."""

    @abstractmethod
    def _batches(self, random: np.random.Generator) -> Iterator[list[int]]: ...


class RandomSampler(BatchSampler):
    """Every image once an epoch. The last, smaller batch is dropped: of one image, batch norm can make nothing.

    Raises DataError where the images do not fill one batch.
    """

    def __init__(self, images: int, batch_size: int, seed: int) -> None:
        super().__init__(seed)
        if images < batch_size:
            raise DataError(f"data.batch_size {batch_size} is larger than the data: there are {images} images")
        self._images, self._batch_size = images, batch_size

    def __len__(self) -> int:
        return self._images // self._batch_size

    def _batches(self, random: np.random.Generator) -> Iterator[list[int]]:
        order = random.permutation(self._images)
        for start in range(0, len(self) * self._batch_size, self._batch_size):
            yield order[start : start + self._batch_size].tolist()


class PKSampler(BatchSampler):
    """P different identities a batch, K images of each, as ReID trains.

    In an epoch an identity of n images comes n // K times with images of its own, or once with repeated ones where n
    is less than K. The field's usual sampler draws identities until fewer than P have images left, so that how many
    batches come depends on luck, and its length is a guess. Here the largest possible number is known beforehand, and
    an identity that has to be in every batch still to come for it to be reached is taken first; the others are drawn.

    Raises DataError where there are fewer than P identities, and where not one of them has two images: then each of
    the K would be the same picture.
    """

    def __init__(self, labels: Sequence[int], identities_per_batch: int, images_per_identity: int, seed: int) -> None:
        super().__init__(seed)
        array = np.asarray(labels, dtype=np.int64)
        order = np.argsort(array, kind="stable")
        starts = np.flatnonzero(np.diff(array[order])) + 1
        self._images: list[NDArray[np.int64]] = np.split(order, starts)
        self._p, self._k = identities_per_batch, images_per_identity
        if len(self._images) < self._p:
            raise DataError(
                f"data.sampler pk draws {self._p} identities a batch, and the data has {len(self._images)}: "
                f"set data.batch_size to {len(self._images) * self._k} or less, or data.instances higher"
            )
        if self._k > 1 and all(len(images) == 1 for images in self._images):
            raise DataError(
                f"data.sampler pk draws {self._k} images of each identity, and not one of the data's "
                f"{len(self._images)} identities has two: set data.sampler to random"
            )
        self._turns = np.array([max(1, len(images) // self._k) for images in self._images])
        self._length = self._most_batches()

    def __len__(self) -> int:
        return self._length

    def _most_batches(self) -> int:
        """The largest T for which T batches of P different identities can be made: sum of min(turns, T) >= P * T."""
        length = int(self._turns.sum()) // self._p
        while (possible := int(np.minimum(self._turns, length).sum()) // self._p) < length:
            length = possible
        return length

    def _batches(self, random: np.random.Generator) -> Iterator[list[int]]:
        shuffled = [self._shuffled(images, random) for images in self._images]
        turns = self._turns.copy()
        for to_come in range(self._length, 0, -1):
            urgent = turns >= to_come  # has to be in every batch from now on, or turns are lost
            keys = random.random(len(turns)) + urgent
            keys[turns == 0] = -1.0
            chosen = np.argsort(-keys)[: self._p]
            batch: list[int] = []
            for identity in chosen.tolist():
                turns[identity] -= 1
                end = (turns[identity] + 1) * self._k
                batch += shuffled[identity][end - self._k : end].tolist()
            yield batch

    def _shuffled(self, images: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
        order = random.permutation(images)
        missing = self._k - len(images)
        if missing <= 0:
            return order
        return np.concatenate([order, random.choice(images, missing, replace=True)])


class RankSampler(Sampler[BatchPlan]):
    """One rank's share of a sampler's batches: every `ranks`-th, from the `rank`-th on, and as many for each rank.

    Every rank draws all the plans, from the same seed, and takes its own: so no image comes twice in an epoch, a PK
    batch stays whole, and what is done to the images differs from rank to rank, since each plan has its own seed.

    Raises DataError where there is not one batch for each rank.
    """

    def __init__(self, sampler: BatchSampler, rank: int, ranks: int) -> None:
        if len(sampler) < ranks:
            raise DataError(
                f"{ranks} ranks take {ranks} batches a step, and the data make {len(sampler)} an epoch: "
                "set data.batch_size lower (it counts the images of one rank), or start fewer processes"
            )
        self._sampler, self._rank, self._ranks = sampler, rank, ranks

    def __len__(self) -> int:
        return len(self._sampler) // self._ranks

    def __iter__(self) -> Iterator[BatchPlan]:
        return islice(self._sampler, self._rank, len(self) * self._ranks, self._ranks)
