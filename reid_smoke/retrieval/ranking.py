"""mAP and Rank-1 by re-identification's protocol, and what chance would give; numpy only.

Written here rather than taken from a library: torchmetrics and pytorch-metric-learning know no camera that is left
out, and sklearn's average precision would be a large dependency for a sum.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Ranked(NamedTuple):
    """Means over the queries that have something to be found."""

    mean_ap: float  # 0..1
    rank1: float  # 0..1: the share of queries whose nearest image is of the same identity
    queries: int


def similarity(queries: NDArray[np.float32], gallery: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines (Q, G) of features (Q, D) and (G, D) of unit length."""
    # A model that went wrong has features of NaN: those are nobody's neighbours.
    cosines: NDArray[np.float32] = np.nan_to_num(queries @ gallery.T, nan=-2.0)
    return cosines


def rank(similarity: NDArray[np.float32], match: NDArray[np.bool_], left_out: NDArray[np.bool_]) -> Ranked:
    """Sort the gallery for each query, the most similar first, and see where the matches stand.

    similarity: (Q, G). match: (Q, G), the same identity. left_out: (Q, G), images that are not to be found: of the same
    identity and camera, or the query itself. A query without a match left is left out itself.

    Average precision is the mean, over a query's matches, of the share of matches among the images down to each of
    them, as torchreid and fast-reid have it. (Market-1501's own script takes the mean of the shares above and below
    each match, which is a little more.) Equal similarities keep the gallery's order. Raises ValueError where no query
    has a match.
    """
    precisions, firsts = [], []
    for row in range(len(similarity)):
        kept = ~left_out[row]
        matches = match[row, kept]
        if not matches.any():
            continue
        order = np.argsort(-similarity[row, kept], kind="stable")
        places = np.flatnonzero(matches[order])  # from 0
        precisions.append(float(np.mean(np.arange(1, len(places) + 1) / (places + 1))))
        firsts.append(places[0] == 0)
    if not precisions:
        raise ValueError("no query has a match")
    return Ranked(float(np.mean(precisions)), float(np.mean(firsts)), len(precisions))


def chance(match: NDArray[np.bool_], left_out: NDArray[np.bool_]) -> Ranked:
    """What a gallery in random order gives on average: exact, not drawn.

    Of n images r match. The k-th is a match with r/n, and then k - 1 others above it of which (r - 1)/(n - 1) match:
    E[AP] = a + (1 - a) H_n / n with a = (r - 1)/(n - 1) and H_n = 1 + 1/2 + ... + 1/n.
    """
    images = (~left_out).sum(axis=1)  # (Q,)
    matches = (match & ~left_out).sum(axis=1)  # (Q,)
    images, matches = images[matches > 0], matches[matches > 0]
    if not len(images):
        raise ValueError("no query has a match")
    harmonic = np.cumsum(1 / np.arange(1, images.max() + 1))[images - 1]
    share = (matches - 1) / np.maximum(images - 1, 1)
    precision = share + (1 - share) * harmonic / images
    return Ranked(float(precision.mean()), float((matches / images).mean()), len(images))
