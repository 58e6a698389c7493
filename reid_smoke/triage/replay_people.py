"""The batches that were kept, with embedded people in the place of their images, and labels that belong to them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reid_smoke.build.data.pedestrians import IDENTITIES, IMAGES_PER_IDENTITY, SHOTS, render_pedestrians
from reid_smoke.build.data.scenes import CAMERAS
from reid_smoke.config.schema import DataConfig
from reid_smoke.triage.replay_forward import images_of_batch
from reid_smoke.triage.replay_kept import Batch, CannotReplay, Given, replaced


def with_embedded_people(batches: list[Batch]) -> list[Batch]:
    """As many images of the same size, normalised as usual, and each label as often, but in another order.

    So what they teach is as hard to tell from so few images as theirs is. Where theirs hold fewer than two labels, as
    many identities as there may be. Raises CannotReplay where no images are among what the modules were given.
    """
    first = images_of_batch(batches[0])
    if first is None:
        raise CannotReplay("no images are among what their model is given")
    random = np.random.RandomState(0)
    labels = _labels(batches, random)
    known, person = np.unique(labels, return_inverse=True)
    people = render_pedestrians(max(2, len(known)), first.shape[2], first.shape[3])
    seen = [0] * len(known)
    usual = DataConfig()
    swapped, begin = [], 0
    for batch in batches:
        images = images_of_batch(batch)
        if images is None or images.shape[1:] != first.shape[1:]:
            raise CannotReplay("the batches' images differ in size")
        rows = range(begin, begin + len(batch.labels))
        begin = rows.stop
        chosen = []
        for who in person[rows].tolist():
            chosen.append(who * IMAGES_PER_IDENTITY + _ORDER[seen[who] % IMAGES_PER_IDENTITY])
            seen[who] += 1
        pixels = torch.from_numpy(people.pixels[chosen]).permute(0, 3, 1, 2).float() / 255  # (B, 3, H, W)
        pixels = (pixels - torch.tensor(usual.mean)[:, None, None]) / torch.tensor(usual.std)[:, None, None]
        swapped.append(_swapped(batch, images, pixels.to(images.dtype), torch.from_numpy(labels[rows])))
    return swapped


# Camera by camera, so that two images of a person come from two of them.
_ORDER = [camera * IMAGES_PER_IDENTITY // CAMERAS + shot for shot in range(SHOTS) for camera in range(CAMERAS)]


def _labels(batches: list[Batch], random: np.random.RandomState) -> NDArray[np.int64]:
    """(rows,) of all batches."""
    counted = torch.cat([batch.labels[batch.counted] for batch in batches]).numpy()
    rows = sum(len(batch.labels) for batch in batches)
    if len(set(counted.tolist())) < 2:
        counted = np.arange(max(2, min(batches[0].num_classes, rows // IMAGES_PER_IDENTITY)))
    known, person = np.unique(counted, return_inverse=True)
    counted = known[person % IDENTITIES]  # more people are not drawn
    return random.permutation(np.resize(counted, rows))


def _swapped(batch: Batch, images: Tensor, pixels: Tensor, labels: Tensor) -> Batch:
    def new(leaf: Any) -> Any:
        if isinstance(leaf, Given):
            return leaf
        if leaf is images:
            return pixels
        whole = not leaf.is_floating_point() and leaf.shape == batch.labels.shape
        return labels.to(leaf.dtype) if whole and bool((leaf == batch.labels).all()) else leaf

    calls = tuple(
        dataclasses.replace(call, args=replaced(call.args, new), kwargs=replaced(call.kwargs, new))
        for call in batch.calls
    )
    return dataclasses.replace(batch, calls=calls, labels=labels, counted=torch.ones_like(batch.counted))
