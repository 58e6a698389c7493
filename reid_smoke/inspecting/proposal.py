"""A config for a data set that was found: the recipe, with what depends on the number of identities; no torch."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from math import ceil, log
from pathlib import Path

from reid_smoke.build.data.formats.reading import Recognised
from reid_smoke.config.dump import dump_text
from reid_smoke.config.schema import CAPTIONED
from reid_smoke.inspecting.census import Census, in_words, times
from reid_smoke.rule import BELOW_CHANCE, DEFAULT_WINDOW

BATCH, INSTANCES = 64, 4  # the field's usual PK batch: 16 identities x 4
VEHICLES = ("veri776", "vehicleid")
IN_MEMORY = 512 * 2**20  # bytes of decoded images that a loader keeps
_NO_NAME = {"detected", "labeled", "images_detected", "images_labeled", "train", "bounding_box_train", "data", "images"}


@dataclass(frozen=True)
class Proposal:
    """What is worth choosing for a data set."""

    name: str
    height: int
    width: int
    batch_size: int
    pk: bool
    workers: int


def propose(found: Recognised, census: Census, size: tuple[int, int] | None) -> Proposal:
    """The recipe for a data set of these numbers. `size`: (height, width) of its pictures, None where not known."""
    pk = census.of_one_image <= census.identities // 2
    if pk:
        batch = INSTANCES * min(BATCH // INSTANCES, max(2, census.identities // 2))
    else:
        batch = max(2, min(BATCH, census.images // 2))
    height, width = _size(found.source, size)
    decoded = census.images * 3 * height * width
    return Proposal(
        name=_name(found),
        height=height,
        width=width,
        batch_size=batch,
        pk=pk,
        workers=min(4, os.cpu_count() or 1) if decoded > IN_MEMORY else 0,
    )


def config_text(found: Recognised, census: Census, proposal: Proposal, path: str) -> str:
    """The YAML. `path`: what the config will be called on a command line."""
    batch = f"{proposal.batch_size // INSTANCES} identities x {INSTANCES} images" if proposal.pk else "drawn at random"
    looked_at = DEFAULT_WINDOW[1] * proposal.batch_size / census.identities
    chance = log(census.identities)
    sampler = f"pk\n  instances: {INSTANCES}" if proposal.pk else "random"
    text = "  # text: {}  # a text tower that learns from the captions, too; without it they are left alone\n"
    return f"""\
# {found.title}: {in_words(census)}.
#     reid-smoke inspect {path}    shows what a batch looks like
#     reid-smoke run {path}
# What stands here is the recipe. Write down what you plan instead: that is what gets judged.
name: {dump_text(proposal.name)}
data:
  source: {found.source}
  root: {dump_text(str(found.root))}
  height: {proposal.height}
  width: {proposal.width}
  batch_size: {proposal.batch_size}  # {batch}; each is looked at {times(looked_at)} times by step {DEFAULT_WINDOW[1]}
  sampler: {sampler}
  augment: [flip, pad_crop]  # `erase` is the third; no flip where a mirrored picture is another one, as with letters
  workers: {proposal.workers}  # loader processes; 0 decodes in the training process
model:
  backbone: resnet50  # any classification model of torchvision's, or timm:NAME; resnet18 on a CPU
  # weights: resnet50.pth  # a local checkpoint; without one it starts from scratch
{text if found.source in CAPTIONED else ""}\
optimizer:
  name: adamw
  lr: 1e-5  # the backbone
  weight_decay: 1e-4
  groups:
    - match: ^bn_neck\\.classifier
      lr: 1e-2  # the head starts from nothing and needs a thousand times as much
# The window is left at steps {DEFAULT_WINDOW[0]} to {DEFAULT_WINDOW[1]}. Chance is log {census.identities} = \
{chance:.2f}, and the bar {chance - BELOW_CHANCE:.2f}.
"""


def _size(source: str, size: tuple[int, int] | None) -> tuple[int, int]:
    """Height and width for the model: the field's for people and vehicles, else what is near to the pictures."""
    if source in CAPTIONED:
        return 384, 128
    if source in VEHICLES:
        return 256, 256
    if size is None or size[0] >= 1.5 * size[1]:
        return 256, 128
    longest = min(256, 32 * ceil(max(size) / 32))
    return (longest, longest) if size[1] < 1.5 * size[0] else (longest // 2, longest)


def _name(found: Recognised) -> str:
    """From the folder's name, or from the format's where that says nothing."""
    root = found.root.absolute()
    for name in (root.stem if root.is_file() else root.name, root.parent.name):
        name = re.sub(r"[^\w.-]+", "-", name.lower()).strip("-.")
        if name and name not in _NO_NAME:
            return name
    return found.source


def default_path(proposal: Proposal) -> Path:
    """Where the config goes unless told otherwise."""
    return Path(f"{proposal.name}.yaml")
