"""A data set in numbers and in words: who is in it, how often, and how large the pictures are; no torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil
from statistics import median

from PIL import Image

from reid_smoke.build.data.training_set import TrainingSet, identities_of_one_image
from reid_smoke.rule import ENOUGH_LOOKS

LOOKED_AT = 50  # images whose size is read


@dataclass(frozen=True)
class Census:
    """One part of a data set, counted."""

    identities: int
    images: int
    captions: int  # 0: not an image-text set
    cameras: int  # 0: not known
    per_identity: tuple[int, int, int]  # images: fewest, median, most
    of_one_image: int  # identities
    junk: int


def count(part: TrainingSet) -> Census:
    """Count without opening an image. An image with several captions counts once."""
    images = {sample.image: sample.label for sample in part.samples}
    cameras = {sample.camera for sample in part.samples}
    per_identity = sorted(Counter(images.values()).values())
    return Census(
        identities=part.identities,
        images=len(images),
        captions=sum(sample.caption is not None for sample in part.samples),
        cameras=0 if cameras == {0} else len(cameras),
        per_identity=(per_identity[0], int(median(per_identity)), per_identity[-1]),
        of_one_image=identities_of_one_image(part),
        junk=part.junk_dropped,
    )


def in_words(census: Census) -> str:
    """`751 identities, 12,936 images, 6 cameras; 2 to 72 images of each, median 15`."""
    fewest, middle, most = census.per_identity
    parts = [f"{census.identities:,} identit{'y' if census.identities == 1 else 'ies'}", _images(census.images)]
    if census.captions:
        parts.append(f"{census.captions:,} captions")
    if census.cameras:
        parts.append(f"{census.cameras} camera{'' if census.cameras == 1 else 's'}")
    each = f"{_images(fewest)} of each" if fewest == most else f"{fewest} to {most} images of each, median {middle}"
    junk = f"; {census.junk:,} junk left out" if census.junk else ""
    return f"{', '.join(parts)}; {each}{junk}"


def looks(batch_size: int, identities: int, window: tuple[int, int]) -> str:
    """What the window is worth: how often each identity has been looked at by its two ends."""
    first, last = (step * batch_size / identities for step in window)
    said = f"{times(first)} at each identity by step {window[0]}, {times(last)} by step {window[1]}: the window"
    if last >= ENOUGH_LOOKS:
        return said
    enough = ceil(ENOUGH_LOOKS * identities / batch_size)
    return f"{said}. Few: a curve that falls, but lies over the bar there, is judged by step {enough}"


def times(number: float) -> str:
    return f"{number:.1f}" if number < 100 else f"{number:,.0f}"


def image_size(part: TrainingSet) -> tuple[int, int] | None:
    """(height, width) in pixels: the medians over a few images from all over the set; None where none can be read."""
    if part.pixels is not None:
        return part.pixels.shape[1], part.pixels.shape[2]
    sizes = []
    for sample in part.samples[:: max(1, len(part) // LOOKED_AT)]:
        try:
            with Image.open(str(sample.image)) as file:
                sizes.append(file.size)
        except Exception:  # a broken file makes Pillow raise nearly anything; a run will name it
            continue
    if not sizes:
        return None
    return int(median(height for _, height in sizes)), int(median(width for width, _ in sizes))


def _images(number: int) -> str:
    return f"{number:,} image{'' if number == 1 else 's'}"
