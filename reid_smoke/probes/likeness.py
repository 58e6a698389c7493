"""Are the images of one identity more alike than those of two? Told by colours alone, before anything is learnt.

People wear what they wear: stripes of colour say who it is far better than chance in every ReID set, and ink along the
lines does so for drawings. Where they say nothing at all, the labels belong to other images.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reid_smoke.facts import LikenessFacts
from reid_smoke.probes.clips import Order, in_other_order, orders_in

STRIPES = 8
LEAST = 4  # images of a batch whose features are compared with them
ENOUGH = 1024  # images; their pairs are half a million
LATER = 384  # of the second epoch
FEW = 30  # pairs; a sampler that draws each identity once an epoch leaves none within the first
SHIFTS = (1, -1, 2, -2)  # places within a batch, by which its labels are moved to see whether they fit better
BATCHES = (-1, 1)  # batches, by which all labels are moved: what was taken from a prefetcher a step too late or early
SAME_IMAGE = 0.02  # of the median distance: closer pairs may be one image twice, which proves nothing


def stripes(images: Tensor) -> Tensor:
    """Mean and spread of each channel in eight horizontal stripes. (B, C, H, W) -> (B, 16 C) float32.

    The same for a mirrored image.
    """
    images = images.detach().float()
    mean = F.adaptive_avg_pool2d(images, (STRIPES, 1))  # (B, C, 8, 1)
    spread = (F.adaptive_avg_pool2d(images * images, (STRIPES, 1)) - mean * mean).clamp_min(0).sqrt()
    return torch.cat([mean, spread], 1).flatten(1)


def alike(
    descriptions: NDArray[np.float32], labels: NDArray[np.int64], batches: NDArray[np.int64]
) -> tuple[int, float]:
    """Pairs under one label, and the probability that such a pair lies closer than a pair under two (the area under
    the ROC curve, by counting: Mann & Whitney 1947). (N, D), (N,), (N,) -> pairs, 0..1; NaN where there is no pair of
    either. Only pairs from two batches count: labels of another batch still fit each other within one.
    """
    return all_alike(descriptions, [labels], batches)[0]


def all_alike(
    descriptions: NDArray[np.float32], labellings: Sequence[NDArray[np.int64]], batches: NDArray[np.int64]
) -> list[tuple[int, float]]:
    """The same for several labellings of the same images."""
    if len(batches) < 2:
        return [(0, float("nan")) for _ in labellings]
    scaled = (descriptions - descriptions.mean(0)) / (descriptions.std(0) + 1e-6)
    squares = (scaled * scaled).sum(1)
    distances = squares[:, None] + squares[None] - 2 * scaled @ scaled.T  # (N, N)
    counted = np.triu(batches[:, None] != batches[None], 1)  # each pair once
    if counted.any():
        counted &= distances > SAME_IMAGE * np.median(distances[counted])
    in_order = np.sort(distances[counted])  # once, for all the labellings
    sames = ((labels[:, None] == labels[None]) & counted for labels in labellings)
    return [_are_closer(distances[same], in_order) for same in sames]


def _are_closer(close: NDArray[np.float32], in_order: NDArray[np.float32]) -> tuple[int, float]:
    """close: distances of pairs under one label; in_order: those of all pairs."""
    others = len(in_order) - len(close)
    if not len(close) or not others:
        return len(close), float("nan")
    # A half for a tie. Values alone are sorted several times as quickly as their ranks are told.
    farther = 2 * len(in_order) - np.searchsorted(in_order, close, "left") - np.searchsorted(in_order, close, "right")
    among_themselves = len(close) ** 2  # each pair of them is once the farther one, and each is level with itself
    return len(close), float((farther.sum() - among_themselves) / (2 * others * len(close)))


def distances(described: Tensor, *made: Tensor) -> Tensor:
    """Distances of images, and those of what was made of each, over the pairs of a batch.

    (B, N), M of (B, D) -> (1 + M, B (B - 1) / 2), on the device.
    """
    described = (described - described.mean(0)) / (described.std(0) + 1e-6)
    return torch.stack(
        [F.pdist(described), *(F.pdist(one.detach().float()) for one in made)]
    )  # no mask: that would wait for a GPU


def carried_over(pairs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Correlation, in each batch, between distances of images and those of features; (batches, 2, P) -> (batches,).

    Above 0 where features belong to their images, whatever the weights are; NaN where all are alike. What two places in
    the batch have in common is taken out: PK sampling puts one identity side by side, and rows that `view` made
    of channels are more alike side by side, too.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs = pairs - pairs.mean(2, keepdims=True)
        pairs = pairs / pairs.std(2, keepdims=True)
        pairs = pairs - pairs.mean(0)
        products = (pairs[:, 0] * pairs[:, 1]).sum(1)
        return np.asarray(products / np.sqrt((pairs**2).sum(2).prod(1)))


@dataclass
class Described:
    """Images by their colours, with their labels, batch by batch."""

    batches: list[tuple[Tensor, Tensor]] = field(default_factory=list)  # (B, N) and (B,)
    images: int = 0  # or clips
    otherwise: list[Tensor] = field(default_factory=list)  # (B, N), of clips whose frames stood in the other order

    def add(self, images: Tensor, labels: Tensor, mixed: Tensor | None, order: Order | None) -> Tensor:
        described = stripes(images)
        if order is not None:
            self.otherwise.append(order.other.means(described))
            described = order.means(described)
        kept = described if mixed is None else described.masked_fill(mixed.to(described.device)[:, None], torch.nan)
        self.batches.append((kept, labels.detach().clone()))
        self.images += len(labels)
        return described

    def and_of(self, later: Described) -> Described:
        """Both, one after the other."""
        return Described(self.batches + later.batches, self.images + later.images, self.otherwise + later.otherwise)

    def orders(self) -> list[Order]:
        """In which the labels may have been repeated, by the first batch."""
        return orders_in(self.batches[0][1].cpu().numpy()) if self.batches and not self.otherwise else []

    def fetch_otherwise(self) -> NDArray[np.float32]:
        """(N, D), for the same as `fetch`."""
        descriptions = torch.cat([one for one, _ in self.batches]).cpu().numpy()
        return np.asarray(torch.cat(self.otherwise).cpu().numpy()[np.isfinite(descriptions).all(1)])

    def fetch(
        self, shifts: Sequence[int] = (), batches: Sequence[int] = (), orders: Sequence[Order] = ()
    ) -> tuple[NDArray[np.float32], list[NDArray[np.int64]], NDArray[np.int64]]:
        """Descriptions (N, D), labels (N,) as they are, moved within their batches, moved by whole batches, and
        repeated in the other order; batches (N,); none of images with several labels."""
        descriptions = torch.cat([one for one, _ in self.batches]).cpu().numpy()
        labels = torch.cat([label for _, label in self.batches]).cpu().numpy()
        sizes = [len(label) for _, label in self.batches]
        each = np.split(labels, np.cumsum(sizes)[:-1])
        labellings = [np.concatenate([np.roll(label, by) for label in each]) for by in (0, *shifts)]
        labellings += [_of_other_batches(each, by) for by in batches]
        labellings += [np.concatenate([in_other_order(order, label) for label in each]) for order in orders]
        whole = np.isfinite(descriptions).all(1)
        numbers = np.repeat(np.arange(len(sizes)), sizes)[whole]
        return descriptions[whole], [labelling[whole] for labelling in labellings], numbers


def _of_other_batches(each: Sequence[NDArray[np.int64]], by: int) -> NDArray[np.int64]:
    """Each batch's labels given to the batch that came `by` later; at the ends, and where sizes differ, each image has
    a label of its own."""
    moved = [
        each[at - by] if 0 <= at - by < len(each) and len(each[at - by]) == len(labels) else np.full_like(labels, -1)
        for at, labels in enumerate(each)
    ]
    labelling = np.concatenate(moved)
    return np.where(labelling < 0, -1 - np.arange(len(labelling)), labelling)


class Likeness:
    """Collects the first `ENOUGH` images of the first epoch, and a few of the second: do labels still mean the same?

    Where the first has hardly two batches with one identity, both are compared as one. While a backbone is frozen, no
    graph shows its images: then the first epoch is the one that does. What its features carry is not compared any more,
    since the figures for that are those of networks that have learnt nothing.
    """

    def __init__(self) -> None:
        self._begun: int | None = None  # the epoch of the first images
        self._first = Described()
        self._later = Described()
        self._head: weakref.ref[Tensor] | None = None
        self._order: Order | None = None  # of the frames, where labels are those of clips
        self._pairs: list[Tensor] = []  # (2, P) a batch
        self._told = (0, 0)  # images
        self._of_first: LikenessFacts | None = None

    def wants_more(self, epoch: int) -> bool:
        if self._begun is None or epoch <= self._begun:
            return self._first.images < ENOUGH
        return epoch == self._begun + 1 and self._later.images < LATER

    def add(
        self,
        images: Tensor,
        labels: Tensor,
        mixed: Tensor | None = None,
        feature: Tensor | None = None,
        log_probs: Tensor | None = None,
        *,
        epoch: int = 1,
        head: Tensor | None = None,
        order: Order | None = None,
    ) -> None:
        """images (B, C, H, W), of clips (B * T, C, H, W) in this order; labels (B,); mixed (B,) bool: of several
        labels, left out; feature (B, D): what feeds the classifier; log_probs (B, C): as the loss has them; head: the
        classifier's weight. All stays on the device.
        """
        if self._first.images and order != self._order:
            return
        self._order = order
        if self._begun is None:
            self._begun = max(1, epoch)
        if epoch > self._begun:
            if head is not None and self._head is not None and self._head() is head:
                self._later.add(images, labels, mixed, order)
            return
        self._head = weakref.ref(head) if head is not None else None
        described = self._first.add(images, labels, mixed, order)
        if self._begun == 1 and feature is not None and feature.dim() == 2 and len(feature) == len(described) >= LEAST:
            # In half precision those of a fresh head are all the same.
            fine = log_probs is not None and log_probs.dtype is torch.float32
            pairs = distances(described, feature, *([log_probs] if log_probs is not None and fine else []))
            if not self._pairs or pairs.shape == self._pairs[0].shape:  # the last batch may have other places
                self._pairs.append(pairs)

    def facts(self, step: int) -> LikenessFacts | None:
        """Fetches them; None where nothing was added since the last time."""
        if self._told == (self._first.images, self._later.images):
            return None
        if self._of_first is None or self._told[0] != self._first.images:
            self._of_first = self._facts_of(self._first, step)
        self._told = (self._first.images, self._later.images)
        if not self._later.images:
            return self._of_first
        told = self._of_first if self._of_first.pairs >= FEW else self._facts_of(self._first.and_of(self._later), step)
        pairs, auc, own_auc = self._across()
        across = {"later_pairs": pairs, "later_auc": auc, "later_own_auc": own_auc}
        return told.model_copy(update={"step": step, **across})

    def _facts_of(self, described: Described, step: int) -> LikenessFacts:
        orders = described.orders()
        descriptions, labellings, batches = described.fetch(SHIFTS, BATCHES, orders)
        (pairs, auc), *others = all_alike(descriptions, labellings, batches)
        reordered = [
            (fit, order.other) for (_, fit), order in zip(others[len(SHIFTS) + len(BATCHES) :], orders, strict=True)
        ]
        if self._order is not None:
            reordered = [(alike(described.fetch_otherwise(), labellings[0], batches)[1], self._order.other)]
        reordered_auc, better = max(
            (one for one in reordered if one[0] > auc), key=lambda one: one[0], default=(float("nan"), None)
        )
        moves = [(by, 0) for by in SHIFTS] + [(0, by) for by in BATCHES]
        shifted_auc, (shift, batch_shift) = max(
            ((fit, by) for (_, fit), by in zip(others, moves, strict=False) if fit > auc),
            default=(float("nan"), (0, 0)),
        )
        compared = torch.stack(self._pairs).cpu().numpy() if len(self._pairs) > 1 else None
        carried, to_loss = np.zeros(0, np.float32), np.zeros(0, np.float32)
        if compared is not None:
            carried = _finite(carried_over(compared[:, :2]))
        if compared is not None and compared.shape[1] > 2:
            to_loss = _finite(carried_over(compared[:, ::2]))
        return LikenessFacts(
            step=step,
            images=len(batches),
            pairs=pairs,
            auc=auc,
            shift=shift,
            batch_shift=batch_shift,
            shifted_auc=shifted_auc,
            clip=self._order.frames if self._order is not None else 1,
            frames=better.frames if better is not None else 0,
            side_by_side=better is not None and better.side_by_side,
            reordered_auc=reordered_auc,
            batches=len(carried),
            carried=float(carried.mean()) if len(carried) else float("nan"),
            carried_error=_error(carried),
            carried_to_loss=float(to_loss.mean()) if len(to_loss) else float("nan"),
            carried_to_loss_error=_error(to_loss),
        )

    def _across(self) -> tuple[int, float, float]:
        """Pairs of an image of the first epoch and one of the second under the same label, how much more alike they
        are, and how much more alike are those of the second among themselves."""
        first, (labels,), _ = self._first.fetch()
        later, (its_labels,), its_batches = self._later.fetch()
        epochs = np.repeat([1, 2], [len(labels), len(its_labels)])
        pairs, auc = alike(np.concatenate([first, later]), np.concatenate([labels, its_labels]), epochs)
        return pairs, auc, alike(later, its_labels, its_batches)[1]


def _finite(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values[np.isfinite(values)]


def _error(values: NDArray[np.float32]) -> float:
    """Of the mean; NaN of fewer than two."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
