"""The batches that were kept, with embedded people and their labels in the place of the images and labels."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reid_smoke.build.data.pedestrians import IMAGES_PER_IDENTITY, render_pedestrians
from reid_smoke.config.schema import DataConfig
from reid_smoke.triage.changes import EMBEDDED_IDENTITIES
from reid_smoke.triage.replay_forward import images_of_batch
from reid_smoke.triage.replay_kept import Batch, CannotReplay, Given, replaced

IMAGES_EACH = 4  # of an identity, over all batches, as far as there are that many classes


def with_embedded_people(batches: list[Batch]) -> list[Batch]:
    """As many images of the same size, normalised as usual; whatever equals the labels is replaced with them.

    Raises CannotReplay where no images are among what the modules were given.
    """
    first = images_of_batch(batches[0])
    if first is None:
        raise CannotReplay("no images are among what their model is given")
    rows = sum(len(batch.labels) for batch in batches)
    identities = max(2, min(batches[0].num_classes, EMBEDDED_IDENTITIES, rows // IMAGES_EACH))
    people = render_pedestrians(identities, first.shape[2], first.shape[3])
    drawn = np.random.RandomState(0).permutation(identities * IMAGES_PER_IDENTITY)
    drawn = np.resize(drawn, rows)  # over again where there are fewer
    usual = DataConfig()
    swapped, begin = [], 0
    for batch in batches:
        images = images_of_batch(batch)
        if images is None or images.shape[1:] != first.shape[1:]:
            raise CannotReplay("the batches' images differ in size")
        chosen = drawn[begin : begin + len(batch.labels)]
        begin += len(chosen)
        pixels = torch.from_numpy(people.pixels[chosen]).permute(0, 3, 1, 2).float() / 255  # (B, 3, H, W)
        pixels = (pixels - torch.tensor(usual.mean)[:, None, None]) / torch.tensor(usual.std)[:, None, None]
        labels = torch.from_numpy(people.identities[chosen])  # (B,)
        swapped.append(_swapped(batch, images, pixels.to(images.dtype), labels))
    return swapped


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
