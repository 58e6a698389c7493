"""How far colours tell who an image shows: what the checks of labels share."""

from math import sqrt

from reid_smoke.facts import LikenessFacts

PAIRS = 130  # of fewer the error is too large: rendered and real people, and drawings, lie between 0.63 and 0.80
FITS = 0.6  # labels put to where they belong
KEPT = 0.09  # correlation with the images: their features, or the rows of the loss, stand in the images' order
_OF_ONE_PAIR = 0.29  # spread of a pair's rank where labels are drawn at random


def error_of_pairs(pairs: float) -> float:
    """Standard error of the mean rank of so many pairs under one label, 0..1, where labels are drawn at random."""
    return _OF_ONE_PAIR / sqrt(pairs)


def compared(likeness: LikenessFacts) -> str:
    """What the colours are of, in a word."""
    return "clips" if likeness.clip > 1 else "images"
