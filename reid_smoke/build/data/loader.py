"""Batches of a training set, by an ordinary DataLoader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from reid_smoke.build.data.ahead import Ahead, LookingAhead
from reid_smoke.build.data.images import augment, mean_colour, normalise, resize
from reid_smoke.build.data.samplers import BatchPlan, BatchSampler, PKSampler, RandomSampler, RankSampler
from reid_smoke.build.data.training_set import TrainingSet, UnreadableImage
from reid_smoke.build.data.words import padded
from reid_smoke.config.schema import DataConfig
from reid_smoke.errors import DataError
from reid_smoke.facts import UnreadableFacts

CACHE_BYTES = 512 * 2**20
CACHE_BYTES_BESIDE_GPU = 4 * 2**30  # whoever has a GPU has that much, and the second look at an image is then free

T = TypeVar("T")


class Batch(NamedTuple):
    """What a training step gets."""

    images: Tensor  # (B, 3, H, W) float32, normalised
    labels: Tensor  # (B,) int64
    cameras: Tensor  # (B,) int64


class Delivery(Batch):
    """A batch with what only some sets have, and the bad news of how it came about, which loader processes have no
    other way to pass on."""

    pictures: Tensor | None = None  # (B,) int64, places in the set; the same one twice is the same picture
    captions: tuple[str, ...] = ()  # B of them, or none
    tokens: Tensor | None = None  # (B, L) int64, the captions by the set's vocabulary
    unreadable: tuple[UnreadableFacts, ...] = ()


class Decoded(NamedTuple):
    """A batch as it comes from the files."""

    batch: Batch  # images (B, 3, H, W) uint8, as they are; B is 0 where not one could be read
    used: list[int]  # (B), their places in the set
    unreadable: tuple[UnreadableFacts, ...]


class BatchDataset(Dataset[Delivery]):
    """Turns a plan into a batch.

    An unreadable image is replaced by the next readable one of its identity, or else of any identity, which then goes
    by its own label. It is remembered, and never tried again.

    `cache`: keep every image once it is decoded and resized, 3 * H * W bytes each.
    `device`: a GPU, where batches are augmented and normalised; the images travel as bytes. None: on the CPU.
    """

    def __init__(
        self, training_set: TrainingSet, config: DataConfig, *, cache: bool, device: torch.device | None = None
    ) -> None:
        self._set = training_set
        self._config = config
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        self.ahead = Ahead(self._decode) if device is not None else None
        self._fill = mean_colour(config.mean)
        self._labels = torch.tensor([sample.label for sample in training_set.samples])
        self._cameras = torch.tensor([sample.camera for sample in training_set.samples])
        first_with: dict[str | int, int] = {}  # an image with several captions is as many samples
        self._pictures = torch.tensor([first_with.setdefault(s.image, i) for i, s in enumerate(training_set.samples)])
        self._unreadable: set[int] = set()
        self._same_identity: dict[int, list[int]] = {}
        self._decoded: Tensor | None = None
        if cache:  # zeros come from the system unwritten: memory is taken as images arrive, not now
            self._decoded = torch.zeros(len(training_set), 3, config.height, config.width, dtype=torch.uint8)
        self._is_decoded = [False] * len(training_set)

    def __getitem__(self, plan: BatchPlan) -> Delivery:
        """The batch of this plan; of no image at all where not one of the whole set could be read."""
        decoded = self._decode(plan) if self.ahead is None else self.ahead.take(plan)
        make = self._finish if self._device is None else self._finish_on_gpu
        delivery = Delivery(*make(decoded.batch, plan.seed))
        delivery.unreadable = decoded.unreadable
        delivery.pictures = self._pictures[decoded.used]
        vocabulary = self._set.vocabulary
        if vocabulary is not None:
            delivery.captions = tuple(str(self._set.samples[index].caption) for index in decoded.used)
            delivery.tokens = torch.tensor(padded([vocabulary.encode(caption) for caption in delivery.captions]))
        return delivery

    def _finish(self, batch: Batch, seed: int) -> Batch:
        """What is random to the images, and normalising, wherever they lie."""
        images = batch.images
        if len(images):
            generator = torch.Generator(images.device).manual_seed(seed)
            images = augment(images, self._config.augment, generator, self._fill)
        if self._device is not None:  # the layout that the model will want, turned around while they are bytes
            images = images.contiguous(memory_format=torch.channels_last)
        return batch._replace(images=normalise(images, self._config.mean, self._config.std))

    def _finish_on_gpu(self, batch: Batch, seed: int) -> Batch:
        """On a stream of its own, so that the GPU does this beside the training of the batches before."""
        training = torch.cuda.current_stream(self._device)
        if self._stream is None:
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch ships no type for it
        with torch.cuda.stream(self._stream):
            arrived = Batch(*(part.to(self._device, non_blocking=True) for part in batch))
            finished = self._finish(arrived, seed)
        training.wait_stream(self._stream)
        for part in finished:
            part.record_stream(training)
        return finished

    def _decode(self, plan: BatchPlan) -> Decoded:
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
        none = torch.empty(0, 3, self._config.height, self._config.width, dtype=torch.uint8)
        batch = Batch(torch.stack(images) if images else none, self._labels[used], self._cameras[used])
        if self._device is not None:  # out of pinned memory a GPU fetches by itself, while the host goes on
            batch = Batch(*(part.pin_memory() for part in batch))
        return Decoded(batch, used, tuple(unreadable))

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
        self, dataset: BatchDataset, sampler: Sampler[BatchPlan], *, workers: int, seed: int,
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
    device: torch.device | None = None,
    rank: int = 0,
    ranks: int = 1,
) -> ReIDLoader:
    """Batches of this set, the same for a seed however many workers there are.

    device: where the images are trained on. A GPU does what is random to them by itself, unless there are workers; it
    draws other numbers than a CPU for the same seed.

    rank, ranks: the share of the batches that is wanted, see RankSampler.

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
    gpu = device if device is not None and device.type == "cuda" and config.workers == 0 else None
    most = CACHE_BYTES if gpu is None else CACHE_BYTES_BESIDE_GPU
    fits = len(training_set) * 3 * config.height * config.width <= most
    dataset = BatchDataset(training_set, config, cache=fits and config.workers == 0, device=gpu)
    share = sampler if ranks == 1 else RankSampler(sampler, rank, ranks)
    order = share if dataset.ahead is None else LookingAhead(share, dataset.ahead)
    return ReIDLoader(dataset, order, workers=config.workers, seed=seed, on_unreadable=on_unreadable, on_first=on_first)


def _as_it_is(item: T) -> T:
    """Collating is done; torch's own way would lose what a Delivery carries."""
    return item
