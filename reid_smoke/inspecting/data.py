"""`reid-smoke inspect`, the data's part: what a run would train on, in numbers and in a picture."""

from __future__ import annotations

from math import log
from pathlib import Path

from reid_smoke.build.data.contact_sheet import MOST, save_sheet, sheet_of_batch
from reid_smoke.build.data.formats.reading import FORMATS
from reid_smoke.build.data.loader import Batch, Delivery, build_loader
from reid_smoke.build.data.training_set import TrainingSet, open_part, open_training_set
from reid_smoke.build.data.words import MOST_WORDS, words_of
from reid_smoke.config.schema import Config, DataConfig
from reid_smoke.facts import UnreadableFacts
from reid_smoke.inspecting.census import Census, count, image_size, in_words, looks
from reid_smoke.rule import BELOW_CHANCE


def inspect_data(config: Config, sheet: Path) -> list[tuple[str, str | None]]:
    """What there is to say of the config's data, as labelled lines; the first batch is drawn to `sheet`.

    Raises DataError as a run would, and UsageError where the picture cannot be written.
    """
    data = config.data
    training_set = open_training_set(data)
    unreadable: list[UnreadableFacts] = []
    loader = build_loader(training_set, data, seed=config.seed, on_unreadable=unreadable.append)
    batch = next(iter(loader))
    census, size = count(training_set), image_size(training_set)
    parts = {part: open_part(data, part) for part in ("query", "gallery")}
    save_sheet(
        sheet_of_batch(batch, training_set, data, f"{config.name}: the first batch, as the model sees it"), sheet
    )
    num_classes = config.model.num_classes or census.identities
    bar = config.rule.max_ce if config.rule.max_ce is not None else log(num_classes) - BELOW_CHANCE
    return [
        ("data", _source(data)),
        ("train", in_words(census)),
        *((part, in_words(count(there)) if there else None) for part, there in parts.items()),
        (
            "pictures",
            f"about {size[0]}x{size[1]} (height x width), resized to {data.height}x{data.width}" if size else None,
        ),
        ("batch", f"{tuple(batch.images.shape)} float32, {', '.join(data.augment) or 'no augmentation'}"),
        *_captions(training_set, batch, config.model.text is not None),
        ("sampler", _sampler(data, census)),
        ("epoch", f"{len(loader):,} step{'' if len(loader) == 1 else 's'}"),
        ("looks", looks(data.batch_size, census.identities, config.rule.window)),
        ("chance", f"log {num_classes} = {log(num_classes):.2f}; the bar is {bar:.2f}"),
        ("unreadable", _unreadable(unreadable)),
        ("sheet", f"{sheet}" + (f", the first {MOST} of {len(batch.labels)}" if len(batch.labels) > MOST else "")),
    ]


def _source(data: DataConfig) -> str:
    return (
        f"{FORMATS[data.source].title} in {data.root}"
        if data.source in FORMATS
        else f"embedded {data.source.replace('_', ' ')}"
    )


def _captions(training_set: TrainingSet, batch: Batch, read: bool) -> list[tuple[str, str | None]]:
    vocabulary = training_set.vocabulary
    if vocabulary is None or not isinstance(batch, Delivery):
        return []
    lengths = sorted(len(words_of(str(sample.caption))) for sample in training_set.samples)
    said = f"{lengths[0]} to {lengths[-1]} words, median {lengths[len(lengths) // 2]}"
    cut = sum(length > MOST_WORDS for length in lengths)
    if cut:
        said += f"; {cut:,} are cut to {MOST_WORDS}"
    said += f"; a vocabulary of {len(vocabulary.words):,}"
    note = "" if read else "; no part of the training, without model.text"
    return [("captions", said + note), ("", f"like: {batch.captions[0]}")]


def _sampler(data: DataConfig, census: Census) -> str:
    if data.sampler != "pk":
        return f"random: every {'caption' if census.captions else 'image'} once an epoch"
    said = f"pk: {data.batch_size // data.instances} identities x {data.instances} images"
    if census.per_identity[0] >= data.instances:
        return said
    said += "; an identity of fewer comes with repeats"
    if census.of_one_image:
        said += f", and {census.of_one_image:,} have one image only: a pair of it teaches nothing"
    return said


def _unreadable(found: list[UnreadableFacts]) -> str | None:
    if not found:
        return None
    return f"{len(found)} of the images tried: {found[0].path} ({found[0].reason})" + (", ..." if found[1:] else "")
