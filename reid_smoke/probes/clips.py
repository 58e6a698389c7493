"""Clips of video: how a batch's frames stand in rows, by what the graph gathers them from, or what their labels say."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reid_smoke.probes.nodes import Node, behind, edges, name_of, shape_of

VIEWS = ("View", "UnsafeView", "Reshape", "ReshapeAlias")
MOVES_ROWS = (
    "Index", "Gather", "Slice", "Split", "Flip", "Roll", "Cat", "Stack", "Sort", "MaskedSelect", "Select", "Unbind",
)  # fmt: skip
FAR = 64  # nodes
MOST_ORDERS = 4

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """`frames` of each clip stand side by side, as `clips.flatten(0, 1)` has them, or by turns: the first frame of each
    clip, then the second of each."""

    frames: int
    side_by_side: bool

    @property
    def other(self) -> Order:
        return Order(self.frames, not self.side_by_side)

    def means(self, rows: Tensor) -> Tensor:
        """Of each clip. (B * T, D) -> (B, D)."""
        if self.side_by_side:
            return rows.view(-1, self.frames, rows.shape[1]).mean(1)
        return rows.view(self.frames, -1, rows.shape[1]).mean(0)

    def repeat(self, labels: Labels) -> Labels:
        """A clip's label for each of its frames. (B,) -> (B * T,)."""
        return np.repeat(labels, self.frames) if self.side_by_side else np.tile(labels, self.frames)

    def one_each(self, labels: Labels) -> Labels | None:
        """The labels (B,) that were repeated in this order to (B * T,); None where they were not."""
        if len(labels) % self.frames:
            return None
        each = labels[:: self.frames] if self.side_by_side else labels[: len(labels) // self.frames]
        return each if np.array_equal(self.repeat(each), labels) else None


def order_of(feature: Node | None, images: int, labels: int) -> Order | None:
    """How the rows of images were made into those of clips, on the way to what feeds the classifier; None where it is
    not certain that they were."""
    if labels < 2 or images % labels or images == labels:
        return None
    frames, found = images // labels, set()
    for node in islice(behind(feature, ends=lambda node: shape_of(node)[:1] == (images,)), FAR):
        if name_of(node).startswith(MOVES_ROWS):
            return None
        given = next((shape_of(child) for child in edges(node) if child is not None), ())
        if name_of(node) in VIEWS and given[:1] == (images,) != shape_of(node)[:1]:
            found.add(shape_of(node)[:2])
    if len(found) != 1 or frames == labels:
        return None
    (made,) = found
    if made == (labels, frames):
        return Order(frames, side_by_side=True)
    return Order(frames, side_by_side=False) if made == (frames, labels) else None


def orders_in(labels: Labels) -> list[Order]:
    """Those in which the labels of a batch's images may have been repeated, for each frame of a clip. PK sampling puts
    the images of an identity side by side, too."""
    sizes = [frames for frames in range(2, len(labels) // 2 + 1) if len(labels) % frames == 0]
    orders = (Order(frames, side) for frames in sizes for side in (True, False))
    return list(islice((order for order in orders if order.one_each(labels) is not None), MOST_ORDERS))


def in_other_order(order: Order, labels: Labels) -> Labels:
    """The labels, repeated in the other order; where they were not repeated in this one, each image has its own."""
    each = order.one_each(labels)
    return order.other.repeat(each) if each is not None else -1 - np.arange(len(labels))
