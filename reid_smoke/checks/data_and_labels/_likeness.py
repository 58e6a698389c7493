"""What the colours of images say about their labels, as the checks on labels share it."""

from __future__ import annotations

from math import sqrt

from reid_smoke.facts import LikenessFacts

PAIRS = 130  # of fewer the error is too large: rendered and real people, and drawings, lie between 0.63 and 0.80
OF_ONE_PAIR = 0.29  # spread of a pair's rank where labels are drawn at random


def error_of(likeness: LikenessFacts) -> float:
    """Standard error of the AUC where labels mean nothing: it shrinks with the root of the pairs."""
    return OF_ONE_PAIR / sqrt(likeness.pairs)


def labels_fit(likeness: list[LikenessFacts]) -> bool:
    """Images under one label are clearly more alike: whatever is hard about the data, the labels belong to them."""
    return bool(likeness) and likeness[-1].pairs >= PAIRS and likeness[-1].auc > 0.5 + 4 * error_of(likeness[-1])
