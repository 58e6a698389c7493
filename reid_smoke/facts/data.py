"""Images, labels, and how they come."""

from __future__ import annotations

from math import nan
from typing import Literal

from reid_smoke.facts.base import Fact


class DatasetFacts(Fact):
    """The whole training set, scanned before step 1."""

    kind: Literal["dataset"] = "dataset"
    source: str  # where it came from, for people: a folder or "embedded pedestrians"
    images: int
    identities: int  # distinct training labels
    cameras: int
    num_classes: int  # what the head was built for
    label_min: int
    label_max: int
    labels_out_of_range: int  # images whose label is outside 0..num_classes-1
    example_out_of_range: str = ""  # one such image and its label
    images_per_identity: tuple[int, int, int]  # fewest, median, most
    junk_dropped: int = 0  # images of pid -1
    identities_of_one_image: int = 0
    instances: int | None = None  # images that PK sampling draws of each identity; None: another sampler
    unreadable: int = 0
    unreadable_examples: tuple[str, ...] = ()
    empty_folders: tuple[str, ...] = ()  # with nothing in them, beside those of identities


class UnreadableFacts(Fact):
    """An image that could not be decoded while training; written once per file."""

    kind: Literal["unreadable"] = "unreadable"
    path: str
    reason: str


class LoaderFacts(Fact):
    """What the training loader promises, and what it gave: one record when it is first seen, one per finished epoch."""

    kind: Literal["loader"] = "loader"
    epoch: int
    batches_promised: int | None  # len(loader); None: it has no length
    batches_given: int
    finished: bool
    images: int | None = None  # len(dataset); None: it has no length
    parts: tuple[int, ...] = ()  # len of each data set that it is put together from


class LabelFacts(Fact):
    """How often each label came up so far. Written at each hundredth step or the next one that is measured, after each
    epoch and at the end."""

    kind: Literal["labels"] = "labels"
    step: int
    num_classes: int  # width of the logits
    images: int  # that counted in the loss so far
    seen: int  # labels that came up
    draws: int  # of a label by a batch: P a batch with PK sampling
    unseen_examples: tuple[int, ...] = ()  # the smallest labels that never did
    most_frequent: int  # label
    most_frequent_images: int
    histogram: tuple[tuple[int, int], ...] = ()  # (times, how many labels came up so often), rising


class ImageFacts(Fact):
    """The images of one batch as the first convolution was given them. Measured at few steps."""

    kind: Literal["images"] = "images"
    step: int
    shape: tuple[int, ...]  # (B, C, H, W)
    smallest: float
    largest: float
    mean: float
    std: float  # over the pixels of an image, mean over the batch
    finite: float  # share of the pixels that are numbers
    constant: float  # share of the images whose channels are one value all over
    twins: int  # images of which the batch holds another with the very same pixels
    twins_of_another_label: int  # and under another label
    checksum: float  # the same for the same images in any order
    grain: float = nan  # variance between neighbouring pixels, over that between any two of the image; noise: 1
    contrast: float = nan  # std over the pixels of a channel; of the batch's images the lower quartile


class LikenessFacts(Fact):
    """How much more alike images of one identity are than those of two, by their colours alone, and whether images that
    look alike have features that do."""

    kind: Literal["likeness"] = "likeness"
    step: int
    # The first ones of the training, or clips of as many frames as `clip`; of two epochs, where one has hardly a pair.
    images: int
    pairs: int  # of two images under one label
    auc: float  # probability that such a pair is closer than a pair under two labels; 0.5: no more alike
    # By how many places within the batch, or else whole batches, labels would have to move to fit best; 0: not at all.
    shift: int = 0
    batch_shift: int = 0
    shifted_auc: float = nan  # the same as auc, with them moved
    clip: int = 1  # frames, that the model makes one feature of; above 1 the clips' mean colours are compared
    # In which other order frames fit their labels better: so many of each clip, side by side or by turns; 0: in none.
    frames: int = 0
    side_by_side: bool = False
    reordered_auc: float = nan  # the same as auc, in that order
    later_pairs: int = 0  # under one label, of an image of the first epoch and one of the second
    later_auc: float = nan  # the same as auc, of those
    later_own_auc: float = nan  # of the second epoch's images among themselves
    batches: int = 0  # whose features were compared with their images
    carried: float = nan  # correlation, over the pairs of a batch, between distances of images and of features; mean
    carried_error: float = nan  # of that mean
    carried_to_loss: float = nan  # the same, of the loss's log-probabilities in place of the features
    carried_to_loss_error: float = nan
