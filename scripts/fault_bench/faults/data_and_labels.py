"""RS1: mistakes in the data, the labels and how batches are drawn."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fault_bench.faults.register import fault
from fault_bench.parts import Parts
from reid_smoke.build.data.samplers import BatchPlan
from reid_smoke.build.data.training_set import Sample, open_training_set
from reid_smoke.config.schema import DataConfig


def relabel(parts: Parts, samples: list[Sample]) -> None:
    known = parts.training_set
    parts.training_set = type(known)(known.source, tuple(samples), known.pids, known.junk_dropped, known.pixels)


def of_identity(parts: Parts) -> dict[int, list[int]]:
    """Indices of the images of each label."""
    found: dict[int, list[int]] = {}
    for index, sample in enumerate(parts.training_set.samples):
        found.setdefault(sample.label, []).append(index)
    return found


class Batches:
    """A sampler over lists of indices that `draw` makes anew for each epoch."""

    def __init__(self, draw: Any, length: int, seed: int) -> None:
        self._draw, self._length, self._random = draw, length, random.Random(seed)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[BatchPlan]:
        for indices in self._draw(self._random):
            yield BatchPlan(list(indices), self._random.getrandbits(62))


def people_a_batch(parts: Parts, people: int) -> Batches:
    """Batches of the plan's size from so many identities each."""
    size, images = parts.config.data.batch_size, of_identity(parts)
    length = max(20, len(parts.training_set) // size)

    def draw(random: random.Random) -> Iterator[list[int]]:
        for _ in range(length):
            chosen = random.sample(sorted(images), people)
            yield [i for who in chosen for i in random.choices(images[who], k=size // people)]

    return Batches(draw, length, parts.seed)


@fault("label-out-of-range", at="plan", structural=True, mended_by=("classes-as-identities",))
def head_narrower_than_labels(parts: Parts) -> None:
    """The head is built for three identities fewer than there are."""
    parts.plan["model"]["num_classes"] = parts.classes - 3


@fault("label-out-of-range", at="built")  # certain when the largest label comes up for the first time
def labels_count_from_one(parts: Parts) -> None:
    """The data set gives labels 1..C."""
    parts.batches_with(lambda images, labels: (images, labels + 1))


@fault("one-identity-a-batch", at="built", structural=True, mended_by=("random-batches", "embedded-data"))
def all_images_of_one(parts: Parts) -> None:
    """P and K are swapped until P is 1: every batch is one person."""
    parts.sample_with(people_a_batch(parts, 1))


@fault("images-unreadable", at="data")
def truncated_files(parts: Parts) -> None:
    """Three files are not there any more."""
    samples = list(parts.training_set.samples)
    for index in random.Random(parts.seed).sample(range(len(samples)), 3):
        samples[index] = samples[index]._replace(image=str(parts.folder / f"{index}.jpg"))
    relabel(parts, samples)


@fault("label-never-seen", at="data")
def first_pid_is_lost(parts: Parts) -> None:
    """`int(text) or -1` makes junk of pid 0."""
    relabel(parts, [s for s in parts.training_set.samples if s.label != 0])


@fault("head-wider-than-labels", at="plan", mended_by=("classes-as-identities",))
def largest_pid_taken_for_the_count(parts: Parts) -> None:
    """The head has as many outputs as the largest pid of the whole set, validation included."""
    parts.plan["model"]["num_classes"] = 2 * parts.classes


@fault("folder-empty", at="data", structural=True)
def one_folder_of_several_is_empty(parts: Parts) -> None:
    """A folder an identity, of which one was never filled."""
    known, root = parts.training_set, parts.folder / "train"
    for index, sample in enumerate(known.samples):
        folder = root / f"{sample.label:04}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(known.image(index)).save(folder / f"{index:05}.png")
    (root / "0500").mkdir()
    parts.training_set = open_training_set(DataConfig(source="image_folder", root=root))


@fault("one-label-for-all", at="data", structural=True, not_on=("cosine",), mended_by=("embedded-data",))
def label_read_from_the_wrong_field(parts: Parts) -> None:
    """The label is read from a part of the file's name that never changes."""
    relabel(parts, [s._replace(label=3) for s in parts.training_set.samples])


@fault("one-label-for-all", at="built", mended_by=("embedded-data",))
def label_lost_in_collate(parts: Parts) -> None:
    """A collate function gives every image the first one's index."""
    parts.batches_with(lambda images, labels: (images, torch.zeros_like(labels)))


@fault("head-with-one-output", at="data", structural=True, not_on=("cosine",))
def one_folder_found(parts: Parts) -> None:
    """The folder lies a level too high: one class is found, and the head is built for one."""
    relabel(parts, [s._replace(label=0, pid=0) for s in parts.training_set.samples])
    parts.plan["model"]["num_classes"] = 1
    parts.config = type(parts.config).model_validate(parts.plan)


@fault("loader-shorter-than-promised", at="built")
def sampler_length_in_images(parts: Parts) -> None:
    """A batch sampler whose length counts images."""
    sampler: Any = parts.loader.sampler  # type: ignore[attr-defined]
    batches = len(sampler)
    parts.sample_with(Promises(sampler, batches * parts.config.data.batch_size))


class Promises:
    def __init__(self, sampler: Any, length: int) -> None:
        self._sampler, self._length = sampler, length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        return iter(self._sampler)


@fault("loader-runs-dry", at="built")
def sampler_is_a_generator(parts: Parts) -> None:
    """The sampler pops from a list that is filled once."""

    class Eaten(Promises):
        def __init__(self, sampler: Any) -> None:
            super().__init__(sampler, len(sampler))
            self._left = iter(sampler)

        def __iter__(self) -> Iterator[Any]:
            return self._left

    parts.sample_with(Eaten(parts.loader.sampler))  # type: ignore[attr-defined]


@fault("batches-repeat", at="built", mended_by=("random-batches", "embedded-data"))
def first_batch_again_and_again(parts: Parts) -> None:
    """`next(iter(loader))` in the loop, with a seed that is set before it."""
    plan = next(iter(parts.loader.sampler))  # type: ignore[attr-defined]
    parts.sample_with(Batches(lambda _: [plan.indices] * 32, 32, parts.seed))


@fault("images-constant", at="built", structural=True, mended_by=("embedded-data",))
def divided_twice_before_the_cast(parts: Parts) -> None:
    """Images divided by 255 once more while they are bytes: nothing but zeros is left."""
    parts.batches_with(lambda images, labels: (torch.zeros_like(images), labels))


@fault("images-unscaled", at="plan", structural=True, mended_by=("usual-mean-and-std", "embedded-data"))
def raw_pixels(parts: Parts) -> None:
    """`torch.from_numpy` in the place of ToTensor: 0 to 255 reach the model."""
    parts.plan["data"].update(mean=[0.0, 0.0, 0.0], std=[1 / 255, 1 / 255, 1 / 255])


@fault("images-not-finite", at="built", structural=True, mended_by=("embedded-data",))
def divided_by_its_own_spread(parts: Parts) -> None:
    """Images standardised one by one, and a blank one in each batch."""

    def change(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        images = images.clone()
        images[0] = 0.0
        return (images - images.mean((1, 2, 3), True)) / images.std((1, 2, 3), keepdim=True), labels

    parts.batches_with(change)


@fault("same-picture-two-identities", at="data", mended_by=("embedded-data",))
def cache_keyed_by_the_files_name(parts: Parts) -> None:
    """A cache's key holds the file's name, which is the same in every folder."""
    place = {i: n for images in of_identity(parts).values() for n, i in enumerate(images)}
    pictures = {n: s.image for i, s in enumerate(parts.training_set.samples) for n in [place[i]] if s.label == 0}
    relabel(parts, [s._replace(image=pictures[place[i] % 8]) for i, s in enumerate(parts.training_set.samples)])


@fault("labels-unrelated-to-images", at="data", mended_by=("embedded-data",))
def labels_permuted(parts: Parts) -> None:
    """The list of paths was sorted, and the list of labels was not."""
    labels = [s.label for s in parts.training_set.samples]
    random.Random(parts.seed).shuffle(labels)
    relabel(parts, [s._replace(label=y) for s, y in zip(parts.training_set.samples, labels, strict=True)])


@fault("labels-change-each-epoch", at="built", mended_by=("embedded-data",))
def numbered_anew_each_epoch(parts: Parts) -> None:
    """The dictionary from pid to label is built anew at the start of each (short) epoch, from a set."""
    size, images, length = parts.config.data.batch_size, range(len(parts.training_set)), 20
    label_of = torch.arange(parts.classes)

    def draw(random: random.Random) -> Iterator[list[int]]:
        label_of.copy_(torch.tensor(random.sample(range(parts.classes), parts.classes)))
        return (random.sample(images, size) for _ in range(length))

    parts.sample_with(Batches(draw, length, parts.seed))
    parts.batches_with(lambda images, labels: (images, label_of[labels]))


@fault("images-change", at="built", mended_by=("embedded-data",))
def normalised_in_place(parts: Parts) -> None:
    """Images that are kept in memory are scaled in place, once more in each (short) epoch."""
    size, images, length = parts.config.data.batch_size, range(len(parts.training_set)), 16
    scale = torch.ones(())

    def draw(random: random.Random) -> Iterator[list[int]]:
        scale.div_(4)
        return (random.sample(images, size) for _ in range(length))

    parts.sample_with(Batches(draw, length, parts.seed))
    parts.batches_with(lambda images, labels: (images * scale, labels))


@fault("last-batch-of-one", at="built")
def remainder_of_one(parts: Parts) -> None:
    """No drop_last, and one image more than full batches hold."""
    size = parts.config.data.batch_size
    images = list(range(20 * size + 1))

    def draw(random: random.Random) -> Iterator[list[int]]:
        random.shuffle(images)
        return (images[i : i + size] for i in range(0, len(images), size))

    parts.sample_with(Batches(draw, 21, parts.seed))


# A batch says nothing of the next, and by heart both are learnt: no replay of a few can show it.
@fault("too-few-identities-a-batch", at="built", mended_by=("random-batches",))
def two_people_with_eight_images(parts: Parts) -> None:
    """P and K are swapped: two people with eight images each."""
    parts.sample_with(people_a_batch(parts, 2))
