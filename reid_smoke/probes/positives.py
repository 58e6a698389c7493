"""How much SDM has to learn from in a batch: its rows, and the positives in each."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Positives(NamedTuple):
    """Scalars, int64, on the device of the labels."""

    rows: Tensor
    without: Tensor  # rows that have no positive
    one: Tensor  # rows that have a single one


def count_positives(pids: Tensor, pictures: tuple[Tensor, Tensor] | None = None) -> Positives:
    """Count the rows of SDM by their positives. Of B' samples there are 2B' rows: each of side a against side b, and
    each of b against a.

    pids: (B',) of both sides. pictures: (B',) of side a and of side b, the same number for the same picture; None where
    the sides are of different kinds, as image and caption are.

    A positive is an entry of the other side that shows the same identity and is not the row's own picture. SDM's q
    gives the diagonal its share in either case, but what that teaches differs. Between two views of one picture, as
    PK sampling repeats it for an identity of too few, there is nothing to be matched beyond the augmentation: that is
    a row without a positive. An image's own caption is another thing than the image, matching the two is what
    image-text training is for, and so it counts: with random batches, as IRRA is trained, nearly all rows have that
    one positive, and SDM works as a contrast of pairs. That is counted apart, since it is no fault.
    """
    positive = pids[:, None] == pids[None, :]  # (B', B'): rows are side a, columns side b
    if pictures is not None:
        positive = positive & (pictures[0][:, None] != pictures[1][None, :])
    counts = torch.cat([positive.sum(dim=1), positive.sum(dim=0)])  # (2B',)
    return Positives(counts.new_tensor(len(counts)), (counts == 0).sum(), (counts == 1).sum())
