"""The training set: who is in it and where each image lies. Reads folders, decodes single images; no torch.

A folder is scanned in a thread while torch is being loaded, which is why this file must not import it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reid_smoke.build.data.captions import captions_of
from reid_smoke.build.data.formats.found import Part, Reading
from reid_smoke.build.data.formats.reading import read
from reid_smoke.build.data.pedestrians import IDENTITIES, render_pedestrians
from reid_smoke.build.data.words import Vocabulary
from reid_smoke.config.schema import EMBEDDED, DataConfig
from reid_smoke.errors import DataError
from reid_smoke.facts import DatasetFacts


class UnreadableImage(Exception):
    """An image that could not be decoded. `path` and `reason` are for people."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class Sample(NamedTuple):
    """One image of one identity."""

    pid: int | str  # as the data set has it: a number, or an ImageFolder's folder
    label: int  # its index among the sorted pids
    camera: int
    image: str | int  # the file's path, or an index into the pixels of a set held in memory
    caption: str | None = None  # of image-text sets, which hold an image once for each of its captions


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Every image to train on. Label i is `pids[i]`, pids being sorted: the same on every machine."""

    source: str  # where it came from, for people
    samples: tuple[Sample, ...]
    pids: tuple[int | str, ...]
    junk_dropped: int = 0  # images of pid -1
    pixels: NDArray[np.uint8] | None = None  # (M, H, W, 3) RGB; samples' `image` indexes it. None: images are files
    empty_folders: tuple[str, ...] = ()  # of identities, with nothing in them

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def identities(self) -> int:
        return len(self.pids)

    @property
    def cameras(self) -> int:
        return len({sample.camera for sample in self.samples})

    @cached_property
    def vocabulary(self) -> Vocabulary | None:
        """Of the captions; None where an image has none."""
        captions = [sample.caption for sample in self.samples if sample.caption is not None]
        return Vocabulary(captions) if len(captions) == len(self.samples) else None

    def name(self, index: int) -> str:
        """What to call this image before people: its path, or its place among the rendered ones."""
        image = self.samples[index].image
        return image if isinstance(image, str) else f"{self.source}, image {image}"

    def image(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB at the file's own size. Raises UnreadableImage."""
        image = self.samples[index].image
        if isinstance(image, int):
            if self.pixels is None:
                raise UnreadableImage(self.name(index), "the set holds no pixels")
            rendered: NDArray[np.uint8] = self.pixels[image]
            return rendered
        try:
            with Image.open(image) as file:
                pixels: NDArray[np.uint8] = np.array(file.convert("RGB"))  # a copy: torch wants to be able to write
                return pixels
        except MemoryError:
            raise
        except Exception as error:  # a broken file makes Pillow raise SyntaxError, EOFError, struct.error and more
            raise UnreadableImage(image, _reason(error, image)) from error

    def keep(self, indices: Iterable[int]) -> TrainingSet:
        """Only these images, in this order, and only their identities, relabelled 0..C'-1 by sorted pid."""
        kept = [self.samples[index] for index in indices]
        labels = sorted({sample.label for sample in kept})
        new_label = {old: new for new, old in enumerate(labels)}
        return TrainingSet(
            source=self.source,
            samples=tuple(sample._replace(label=new_label[sample.label]) for sample in kept),
            pids=tuple(self.pids[label] for label in labels),
            junk_dropped=self.junk_dropped,
            pixels=self.pixels,
            empty_folders=self.empty_folders,
        )


def open_training_set(config: DataConfig) -> TrainingSet:
    """Find every image of the training set; the embedded one is rendered at config.height x config.width.

    Raises DataError: no such folder, an empty one, one in another layout, fewer identities than asked for, or only one.
    """
    if config.source in EMBEDDED:
        captioned = config.source == "captioned_pedestrians"
        return _pedestrians(config.identities or IDENTITIES, config.height, config.width, captioned)
    reading = read(config.source, _root(config), "train")
    assert reading is not None, "there is always a training part"
    training_set = _labelled(str(_root(config)), reading, config.identities)
    if training_set.identities == 1:
        raise DataError(
            f"{training_set.source} has one identity only, pid {training_set.pids[0]} with {len(training_set)} images: "
            "there is nothing to tell apart. A loss of 0 and an accuracy of 1 would be all that such a training shows"
        )
    return training_set


def open_part(config: DataConfig, part: Part) -> TrainingSet | None:
    """The set's query or gallery images, labelled for themselves; None where it has none. Raises DataError."""
    if config.source in EMBEDDED:
        return None
    reading = read(config.source, _root(config), part)
    return None if reading is None else _labelled(str(_root(config)), reading, None)


def scan(training_set: TrainingSet, num_classes: int, instances: int | None = None) -> DatasetFacts:
    """Hold every label of the whole set against a head of `num_classes`. Nothing is decoded.

    instances: K of PK sampling, None where batches are drawn otherwise.
    """
    labels = np.fromiter((sample.label for sample in training_set.samples), dtype=np.int64, count=len(training_set))
    per_identity = np.sort(np.unique(labels, return_counts=True)[1])
    outside = np.flatnonzero((labels < 0) | (labels >= num_classes))
    example = ""
    if outside.size:
        sample = training_set.samples[outside[0]]
        example = f"pid {sample.pid} -> label {sample.label} ({training_set.name(int(outside[0]))})"
    return DatasetFacts(
        source=training_set.source,
        images=len(training_set),
        identities=len(per_identity),
        cameras=training_set.cameras,
        num_classes=num_classes,
        label_min=int(labels.min()),
        label_max=int(labels.max()),
        labels_out_of_range=len(outside),
        example_out_of_range=example,
        images_per_identity=(int(per_identity[0]), int(np.median(per_identity)), int(per_identity[-1])),
        junk_dropped=training_set.junk_dropped,
        empty_folders=training_set.empty_folders,
        identities_of_one_image=identities_of_one_image(training_set),
        instances=instances,
    )


def identities_of_one_image(training_set: TrainingSet) -> int:
    """How many identities are seen in one image only, however many captions it has."""
    images = {(sample.label, sample.image) for sample in training_set.samples}
    return list(Counter(label for label, _ in images).values()).count(1)


def fixed_subset(training_set: TrainingSet, n: int, seed: int) -> TrainingSet:
    """n images to learn by heart, always the same for a seed, of identities drawn at random; labels 0..C'-1.

    Four images an identity, as a PK batch has them, and more only where there are too few identities. Images drawn
    at random would be one each of nearly n identities: every class would be seen once an epoch, and ten epochs would
    prove nothing. All images of a few identities would leave a head of a dozen classes, which is no test of one of
    hundreds. Raises DataError where n is larger than the set, or leaves one identity.
    """
    if n > len(training_set):
        raise DataError(f"n {n} is larger than the data: {training_set.source} has {len(training_set)} images")
    random = np.random.RandomState(seed)
    turn_of_identity = random.permutation(training_set.identities)
    seen: Counter[int] = Counter()
    order: list[tuple[int, int, int]] = []
    for index in random.permutation(len(training_set)).tolist():
        label = training_set.samples[index].label
        order.append((seen[label] // 4, int(turn_of_identity[label]), index))
        seen[label] += 1
    subset = training_set.keep(sorted(index for _, _, index in sorted(order)[:n]))
    if subset.identities < 2:
        raise DataError(
            f"n {n} leaves one identity of {training_set.source}, and telling one from one needs no learning"
        )
    return subset


def _pedestrians(identities: int, height: int, width: int, captioned: bool) -> TrainingSet:
    if identities < 2:
        raise DataError("data.identities is 1: with one identity there is nothing to tell apart")
    rendered = render_pedestrians(identities, height, width)
    seen = enumerate(zip(rendered.identities.tolist(), rendered.cameras.tolist(), strict=True))
    captions = captions_of(rendered) if captioned else [(None,)] * len(rendered.pixels)
    return TrainingSet(
        source=f"embedded {'captioned ' if captioned else ''}pedestrians",
        samples=tuple(Sample(who, who, camera, i, caption) for i, (who, camera) in seen for caption in captions[i]),
        pids=tuple(range(identities)),
        pixels=rendered.pixels,
    )


def _root(config: DataConfig) -> Path:
    if config.root is None:
        raise DataError(f"data.source {config.source} needs data.root: the folder that holds the data set")
    return config.root.expanduser()


def _labelled(source: str, reading: Reading, first: int | None) -> TrainingSet:
    pids = sorted({image.pid for image in reading.found})  # all numbers, or all names
    if first is not None:
        if first > len(pids):
            raise DataError(f"data.identities is {first}, and {source} has {len(pids)} identities")
        pids = pids[:first]
    label = {pid: i for i, pid in enumerate(pids)}
    samples = tuple(Sample(i.pid, label[i.pid], i.camera, i.path, i.caption) for i in reading.found if i.pid in label)
    return TrainingSet(
        source=source, samples=samples, pids=tuple(pids), junk_dropped=reading.junk, empty_folders=reading.empty
    )


def _reason(error: Exception, path: str) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return text.replace(repr(path), "the file")
