"""The training set: who is in it and where each image lies. Reads folders, decodes single images; no torch.

A folder is scanned in a thread while torch is being loaded, which is why this file must not import it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reid_smoke.build.data.pedestrians import IDENTITIES, render_pedestrians
from reid_smoke.config.schema import DataConfig
from reid_smoke.errors import DataError
from reid_smoke.facts import DatasetFacts

JUNK = -1  # the pid of what is not one person; 0 is a pid like any other
TRAIN_FOLDER = "bounding_box_train"
EXAMPLE_NAME = "0002_c1s1_000451_03.jpg"
_NAME = re.compile(r"(-?\d+)_c(\d+)")
_CAMERA = re.compile(r"_c(\d+)")
_IMAGE = (".jpg", ".jpeg", ".png")
_SPLITS = {"train", "bounding_box_train", "bounding_box_test", "query", "gallery", "val", "test", "pytorch"}


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


@dataclass(frozen=True)
class TrainingSet:
    """Every image to train on. Label i is `pids[i]`, pids being sorted: the same on every machine."""

    source: str  # where it came from, for people
    samples: tuple[Sample, ...]
    pids: tuple[int | str, ...]
    junk_dropped: int = 0  # images of pid -1
    pixels: NDArray[np.uint8] | None = None  # (M, H, W, 3) RGB; samples' `image` indexes it. None: images are files

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def identities(self) -> int:
        return len(self.pids)

    @property
    def cameras(self) -> int:
        return len({sample.camera for sample in self.samples})

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
            return self.pixels[image]
        try:
            with Image.open(image) as file:
                return np.array(file.convert("RGB"))  # a copy: torch warns of arrays that it may not write to
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
        )


def open_training_set(config: DataConfig) -> TrainingSet:
    """Find every image of the training set; the embedded one is rendered at config.height x config.width.

    Raises DataError: no such folder, an empty one, one in another layout, fewer identities than asked for, or only one.
    """
    if config.source == "pedestrians":
        return _pedestrians(config.identities or IDENTITIES, config.height, config.width)
    if config.root is None:
        raise DataError(f"data.source {config.source} needs data.root: the folder that holds the data set")
    root = config.root.expanduser()
    try:
        if not root.is_dir():
            raise DataError(f"data.root {root}: {'this is a file' if root.exists() else 'no such folder'}")
        if not any(_entries(root)):
            raise DataError(f"data.root {root}: the folder is empty")
        found, junk = _market1501(root) if config.source == "market1501" else _image_folder(root)
    except OSError as error:
        raise DataError(f"data.root {root}: {error.strerror or error}") from error
    return _labelled(str(root), found, junk, config.identities)


def scan(training_set: TrainingSet, num_classes: int) -> DatasetFacts:
    """Hold every label of the whole set against a head of `num_classes`. Nothing is decoded."""
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
    )


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


def _pedestrians(identities: int, height: int, width: int) -> TrainingSet:
    if identities < 2:
        raise DataError("data.identities is 1: with one identity there is nothing to tell apart")
    rendered = render_pedestrians(identities, height, width)
    people, cameras = rendered.identities.tolist(), rendered.cameras.tolist()
    return TrainingSet(
        source="embedded pedestrians",
        samples=tuple(Sample(who, who, camera, i) for i, (who, camera) in enumerate(zip(people, cameras, strict=True))),
        pids=tuple(range(identities)),
        pixels=rendered.pixels,
    )


class _Found(NamedTuple):
    pid: int | str
    camera: int
    path: str


def _labelled(source: str, found: list[_Found], junk: int, first: int | None) -> TrainingSet:
    pids = sorted({image.pid for image in found})  # type: ignore[type-var]  # all numbers, or all folder names
    if first is not None:
        if first > len(pids):
            raise DataError(f"data.identities is {first}, and {source} has {len(pids)} identities")
        pids = pids[:first]
    if len(pids) == 1:
        raise DataError(
            f"{source} has one identity only, pid {pids[0]} with {len(found)} images: there is nothing to tell apart. "
            "A loss of 0 and an accuracy of 1 would be all that such a training shows"
        )
    label = {pid: i for i, pid in enumerate(pids)}
    samples = tuple(Sample(i.pid, label[i.pid], i.camera, i.path) for i in found if i.pid in label)
    return TrainingSet(source=source, samples=samples, pids=tuple(pids), junk_dropped=junk)


def _market1501(root: Path) -> tuple[list[_Found], int]:
    train = root / TRAIN_FOLDER
    folder = train if train.is_dir() else root
    found: list[_Found] = []
    junk, misnamed, misnamed_example = 0, 0, ""
    for entry in _images(folder):
        match = _NAME.match(entry.name)
        if match is None:
            misnamed += 1
            misnamed_example = misnamed_example or entry.name
        elif int(match[1]) == JUNK:
            junk += 1
        else:
            found.append(_Found(int(match[1]), int(match[2]), entry.path))
    if found and misnamed:
        raise DataError(
            f"{folder}: {misnamed} of {misnamed + junk + len(found)} images are not named like {EXAMPLE_NAME}, "
            f"{misnamed_example} for one. Their identity is unknown: rename them or take them away"
        )
    if not found:
        if junk:
            raise DataError(f"{folder}: all {junk} images are junk (pid {JUNK}); an identity's images are needed")
        raise DataError(
            f"data.root {root}: looked for {TRAIN_FOLDER}/*.jpg named like {EXAMPLE_NAME}; found {_inventory(folder)}"
            + _advice(root)
        )
    return found, junk


def _image_folder(root: Path) -> tuple[list[_Found], int]:
    train = root / "train"
    folder = train if train.is_dir() and any(e.is_dir() for e in _entries(train)) else root
    found: list[_Found] = []
    junk = 0
    splits: list[str] = []
    for identity in _entries(folder):
        if not identity.is_dir():
            continue
        images = list(_images(identity.path))
        if images and identity.name.lower() in _SPLITS:
            splits.append(identity.name)
        elif identity.name == str(JUNK):
            junk += len(images)
        else:
            found += (_Found(identity.name, _camera(image.name), image.path) for image in images)
    if splits or not found:
        # A split taken for an identity is how a training comes to show a loss of 0.0000 from the first step.
        taken = f" ({', '.join(splits)}: parts of a data set, not identities)" if splits else ""
        raise DataError(
            f"data.root {root}: looked for one folder an identity, in train/ or in the root itself, with images in "
            f"each; found {_inventory(folder)}{taken}" + _advice(root, but="image_folder")
        )
    return found, junk


def _entries(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """What lies in a folder, by name. Hidden files, macOS's `._*` among them, and Windows' Thumbs.db do not count."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".") and entry.name != "Thumbs.db"]
    yield from sorted(visible, key=lambda entry: entry.name)


def _images(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    return (entry for entry in _entries(folder) if entry.name.lower().endswith(_IMAGE))


def _camera(name: str) -> int:
    match = _CAMERA.search(name)
    return int(match[1]) if match else 0


def _inventory(folder: Path) -> str:
    """What a folder holds, in a few words: `3 folders: gallery, query, train and 2 files: a.txt, b.txt`."""
    folders = [entry.name for entry in _entries(folder) if entry.is_dir()]
    files = [entry.name for entry in _entries(folder) if not entry.is_dir()]
    parts = [_listing(kind, names) for kind, names in (("folder", folders), ("file", files)) if names]
    return " and ".join(parts) or "nothing"


def _listing(kind: str, names: list[str]) -> str:
    some = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return f"{len(names)} {kind}{'s' if len(names) != 1 else ''}: {some}"


def _advice(root: Path, but: str = "market1501") -> str:
    """Where the data may be meant to be read from instead, as a sentence; empty when nothing near looks like it."""
    for folder in (root, *(Path(entry.path) for entry in _entries(root) if entry.is_dir())):
        if (folder / TRAIN_FOLDER).is_dir() and (folder != root or but != "market1501"):
            return f". {folder} is in Market-1501's layout: set data.source: market1501 and data.root: {folder}"
    if but != "image_folder":
        for folder in (root / "train", root):
            identities = [e for e in _entries(folder) if e.is_dir()] if folder.is_dir() else []
            if identities and any(_images(identities[0].path)) and identities[0].name.lower() not in _SPLITS:
                return ". This looks like one folder an identity: set data.source: image_folder"
    return ""


def _reason(error: Exception, path: str) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return text.replace(repr(path), "the file")
