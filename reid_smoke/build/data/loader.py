"""Batches of a training set, by an ordinary DataLoader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from reid_smoke.build.data.images import augment, mean_colour, normalise, resize
from reid_smoke.build.data.samplers import BatchPlan, BatchSampler, PKSampler, RandomSampler
from reid_smoke.build.data.training_set import TrainingSet, UnreadableImage
from reid_smoke.config.schema import DataConfig
from reid_smoke.errors import DataError
from reid_smoke.facts import UnreadableFacts

CACHE_BYTES = 512 * 2**20

T = TypeVar("T")


class Batch(NamedTuple):
    """What a training step gets."""

    images: Tensor  # (B, 3, H, W) float32, normalised
    labels: Tensor  # (B,) int64
    cameras: Tensor  # (B,) int64


class Delivery(Batch):
    """A batch with the bad news of how it came about, which loader processes have no other way to pass on."""

    unreadable: tuple[UnreadableFacts, ...] = ()


class BatchDataset(Dataset[Delivery]):
    """Turns a plan into a batch.

    An unreadable image is replaced by the next readable one of its identity, or else of any identity, which then goes
    by its own label. It is remembered, and never tried again.

    `cache`: keep every image once it is decoded and resized, 3 * H * W bytes each.
    """

    def __init__(self, training_set: TrainingSet, config: DataConfig, *, cache: bool) -> None:
        self._set = training_set
        self._config = config
        self._fill = mean_colour(config.mean)
        self._labels = torch.tensor([sample.label for sample in training_set.samples])
        self._cameras = torch.tensor([sample.camera for sample in training_set.samples])
        self._unreadable: set[int] = set()
        self._same_identity: dict[int, list[int]] = {}
        self._decoded: Tensor | None = None
        if cache:  # zeros come from the system unwritten: memory is taken as images arrive, not now
            self._decoded = torch.zeros(len(training_set), 3, config.height, config.width, dtype=torch.uint8)
        self._is_decoded = [False] * len(training_set)

    def __getitem__(self, plan: BatchPlan) -> Delivery:
        """The batch of this plan; of no image at all where not one of the whole set could be read."""
        unreadable: list[UnreadableFacts] = []
        images: list[Tensor] = []
        used: list[int] = []
        for index in plan.indices:
            for candidate in self._candidates(index):
                try:
                    images.append(self._image(candidate))
                    used.append(candidate)
                    break
                except UnreadableImage as error:
                    self._unreadable.add(candidate)
                    unreadable.append(UnreadableFacts(path=error.path, reason=error.reason))
        if images:
            batch = torch.stack(images)  # (B, 3, H, W) uint8
            generator = torch.Generator().manual_seed(plan.seed)
            batch = augment(batch, self._config.augment, generator, self._fill)
            pixels = normalise(batch, self._config.mean, self._config.std)
        else:
            pixels = torch.empty(0, 3, self._config.height, self._config.width)
        delivery = Delivery(pixels, self._labels[used], self._cameras[used])
        delivery.unreadable = tuple(unreadable)
        return delivery

    def _image(self, index: int) -> Tensor:
        """(3, H, W) uint8. Raises UnreadableImage."""
        if self._decoded is not None and self._is_decoded[index]:
            return self._decoded[index]
        image = resize(self._set.image(index), self._config.height, self._config.width)
        if self._decoded is not None:
            self._decoded[index] = image
            self._is_decoded[index] = True
        return image

    def _candidates(self, index: int) -> Iterator[int]:
        """The image itself, then the others of its identity, then all others, each once and none known to be bad."""
        if index not in self._unreadable:
            yield index
        if not self._same_identity:
            for i, sample in enumerate(self._set.samples):
                self._same_identity.setdefault(sample.label, []).append(i)
        same = self._same_identity[self._set.samples[index].label]
        at = same.index(index)
        everything = range(len(self._set))
        for others in (same[at + 1 :] + same[:at], everything[index + 1 :], everything[:index]):
            yield from (other for other in others if other not in self._unreadable)


class ReIDLoader(DataLoader[Delivery]):
    """A DataLoader that hands on, in the training process, which images could not be read. `len` is steps an epoch."""

    def __init__(
        self, dataset: BatchDataset, sampler: BatchSampler, *, workers: int, seed: int,
        on_unreadable: Callable[[UnreadableFacts], None], on_first: Callable[[Batch], None] | None,
    ) -> None:  # fmt: skip
        super().__init__(
            dataset,
            batch_size=None,  # the sampler's items are whole batches already
            sampler=sampler,
            num_workers=workers,
            collate_fn=_as_it_is,
            persistent_workers=workers > 0,
            generator=torch.Generator().manual_seed(seed),  # else each epoch would draw from the global one
        )
        self._on_unreadable = on_unreadable
        self._on_first = on_first
        self._reported: set[str] = set()

    def __iter__(self) -> Iterator[Delivery]:  # type: ignore[override]  # an iterator is all that a loop needs
        for delivery in super().__iter__():
            for fact in delivery.unreadable:
                if fact.path not in self._reported:  # every loader process finds it out for itself
                    self._reported.add(fact.path)
                    self._on_unreadable(fact)
            if not len(delivery.labels):
                raise DataError(f"not one image of the data set could be read; {len(self._reported)} were tried")
            if self._on_first is not None:
                self._on_first(delivery)
                self._on_first = None
            yield delivery


def build_loader(
    training_set: TrainingSet,
    config: DataConfig,
    *,
    seed: int,
    on_unreadable: Callable[[UnreadableFacts], None],
    on_first: Callable[[Batch], None] | None = None,
) -> ReIDLoader:
    """Batches of this set, the same for a seed however many workers there are.

    `on_unreadable` is called in this process, once a file, and `on_first` with the first batch. Raises DataError: fewer
    images than batch_size, fewer identities than a PK batch takes, or none with two images; while iterating, where
    nothing at all can be read.
    """
    sampler: BatchSampler
    if config.sampler == "pk":
        labels = [sample.label for sample in training_set.samples]
        sampler = PKSampler(labels, config.batch_size // config.instances, config.instances, seed)
    else:
        sampler = RandomSampler(len(training_set), config.batch_size, seed)
    # In loader processes each would keep a copy of its own, and decoding is what they are there for.
    fits = len(training_set) * 3 * config.height * config.width <= CACHE_BYTES
    dataset = BatchDataset(training_set, config, cache=fits and config.workers == 0)
    return ReIDLoader(
        dataset, sampler, workers=config.workers, seed=seed, on_unreadable=on_unreadable, on_first=on_first
    )


def _as_it_is(item: T) -> T:
    """Collating is done; torch's own way would lose what a Delivery carries."""
    return item
