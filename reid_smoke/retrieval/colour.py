"""People told apart by the colours they wear and nothing else: what a model has to beat; numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STRIPES = 8  # from head to foot
LEVELS = 4  # of each of R, G and B: 64 colours


def colour_stripes(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(3, H, W) uint8 RGB -> (STRIPES * LEVELS ** 3,) float32 of norm 1: a histogram of colours for each stripe.

    Square roots of the shares, so that the inner product of two is the mean of their stripes' Bhattacharyya
    coefficients.
    """
    level = (image >> np.uint8(6)).astype(np.int64)  # 0..3
    colours = (level[0] * LEVELS + level[1]) * LEVELS + level[2]  # (H, W)
    stripes = np.array_split(colours, STRIPES, axis=0)
    counts = [np.bincount(stripe.ravel(), minlength=LEVELS**3) / max(1, stripe.size) for stripe in stripes]
    histogram: NDArray[np.float32] = np.sqrt(np.concatenate(counts) / STRIPES).astype(np.float32)
    return histogram
