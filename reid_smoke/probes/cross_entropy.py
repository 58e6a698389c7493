"""The identity loss, as the graph behind a loss holds it: log-probabilities, labels, and what CE is multiplied with."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from reid_smoke.probes import other_losses
from reid_smoke.probes.batch import IGNORED, Batch
from reid_smoke.probes.log_softmax import (
    is_kept,
    log_probs_of,
    log_softmax_below,
    log_softmax_of,
    shared_out,
    targets_of,
    through,
    written_by_hand,
)
from reid_smoke.probes.nodes import Node, edges, follow, name_of, saved
from reid_smoke.probes.other_losses import COMPILED, LOSSES, ONE_BY_ONE, SHAPES, Given, read_given

SUMS = (
    "Add", "Sub", "Sum", "Mean", "View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "ToCopy", "Stack", "Cat",
    "Select", "Expand", "Alias", "Clone", "MaskedSelect", "Index",
)  # fmt: skip  # operations that pass a gradient on as it is, up to a positive factor
LABELS_OF_ONE = 4  # mixup and cutmix of mixed images
LEFT_OUT = -69.0  # the log of the little that stands for 0


def is_cross_entropy(consumer: Node) -> bool:
    """The loss is CE itself, not another one over the same labels, and its targets need no second look."""
    by_hand, log_softmax = written_by_hand(consumer), log_softmax_of(consumer)
    if name_of(consumer) in (*LOSSES, COMPILED) or (by_hand is not None and name_of(by_hand[1]) == "Mul"):
        return False
    return _mask_of(consumer) is None and (log_softmax is None or name_of(log_softmax) not in ONE_BY_ONE)


def tells_identities(consumer: Node) -> bool:
    """Of a loss that is not CE itself, whether its targets are one class a row. Waits for the device."""
    by_hand = written_by_hand(consumer)
    consumer = consumer if by_hand is None else by_hand[1]
    given, targets = read_given(consumer), _mask_of(consumer)
    if given is not None:
        targets = given.targets
    elif targets is None and name_of(consumer) == "Mul":
        targets = targets_of(consumer, log_softmax_of(consumer) or (by_hand[0] if by_hand is not None else None))
    if targets is None:
        return False
    return targets.dim() == 1 or other_losses.is_one_hot(targets)


def tells_one_each(batch: Batch) -> bool:
    """Whether soft targets are labels that were smoothed: one class of each row. Waits for the device."""
    return batch.mixed is not None and bool((batch.counted.any() & ~batch.mixed.any()).item())


def tells_opinions(consumer: Node) -> bool:
    """Whether soft targets (B, C) are what a model, or an assignment of its outputs, says: beside a row's few largest
    shares the others rise and rise. Labels that were smoothed or mixed leave one share for all of them, and several
    positives two. Waits for the device."""
    if name_of(consumer) != "Mul":
        return False
    targets = targets_of(consumer, log_softmax_of(consumer))
    if targets is None or targets.dim() != 2 or targets.shape[1] <= 2 * LABELS_OF_ONE:
        return False
    rest = targets.detach().float().abs().sort(1).values[:, :-LABELS_OF_ONE]
    places = torch.linspace(0, rest.shape[1] - 1, 5, device=rest.device).long()
    low, high = rest[:, places[:-1]], rest[:, places[1:]]
    rises = (high - low > 1e-3 * high).sum(1) >= 3
    return bool(rises.float().mean() > 0.5)


def _left_in(consumer: Node) -> Tensor | None:
    """(B, C), what the exponentials are multiplied with before they are divided by their sum: 0 leaves a class out.
    None where nothing is."""
    for child in edges(consumer)[:2]:
        division = through(child, (*SHAPES, "Neg", "Log", "Clamp", "ClampMin", "Add"))[0]
        product = shared_out(division) if division is not None else None
        if product is not None and name_of(product) == "Mul":
            kept = saved(product, "other" if edges(product)[0] is not None else "self")
            return kept.detach() if isinstance(kept, Tensor) else None
    return None


def _mask_of(consumer: Node) -> Tensor | None:
    """(B, C) bool, with which a loss picks; None where it picks by labels, or nothing."""
    if name_of(consumer) == "MaskedSelect":
        mask = saved(consumer, "mask")
    elif name_of(consumer) == "Index":
        mask = next((i for i in saved(consumer, "indices") or () if isinstance(i, Tensor)), None)
    else:
        return None
    return mask if isinstance(mask, Tensor) and mask.dtype is torch.bool and mask.dim() == 2 else None


def read_batch(consumer: Node, log_softmax: Node | None = None) -> Batch | None:
    """Log-probabilities and labels as the loss had them; None where they are no (B, C) and (B,).

    log_softmax: what stands for it, where that was found already, hidden or not. Nothing is fetched from the device.
    """
    name = name_of(consumer)
    by_torch = name.startswith("NllLoss")  # at nearly every step: nothing else is asked of it then
    given = read_given(consumer) if not by_torch else None
    if given is not None:
        return _read_other(given)
    log_softmax = log_softmax if log_softmax is not None else log_softmax_of(consumer)
    if log_softmax is None:
        return None
    kind = name_of(log_softmax)
    if kind == "LogSoftmax":
        log_probs = saved(log_softmax, "result")
    else:
        log_probs = log_probs_of(log_softmax) if is_kept(log_softmax) else None
    if log_probs is None or log_probs.dim() != 2:
        return None
    log_probs = log_probs.detach()
    left_in = _left_in(consumer) if kind == "Exp" else None
    if left_in is not None and left_in.dim() <= 2:
        log_probs = torch.where(left_in > 0, log_probs, LEFT_OUT).log_softmax(1)
    rows, classes = log_probs.shape
    by_hand = written_by_hand(consumer) if not by_torch else None
    if by_hand is not None:
        consumer = by_hand[1]
        name = name_of(consumer)
    ignored, mixed, largest = IGNORED, None, None
    if by_torch:
        labels, ignored = saved(consumer, "target"), int(saved(consumer, "ignore_index"))
        if ignored >= 2**63:  # torch < 2.9 shows the int64 as unsigned
            ignored -= 2**64
    elif name == "Gather":
        labels = saved(consumer, "index")
        if labels is None or labels.numel() != rows:
            return None
        labels = labels.reshape(rows)
    elif (mask := _mask_of(consumer)) is not None:
        if mask.shape != log_probs.shape:
            return None
        labels = torch.where(mask.any(1), mask.long().argmax(1), IGNORED)
    elif name == "Index":
        indices = [i for i in saved(consumer, "indices") or () if isinstance(i, Tensor)]
        if not indices or indices[-1].numel() != rows:
            return None
        labels = indices[-1].reshape(rows)
        # Indices may count from the end, which labels never do.
        labels = torch.where(labels == IGNORED, IGNORED, labels.clamp(0, classes - 1))
    else:
        targets = targets_of(consumer, log_softmax)
        if targets is None:
            return None
        labels, mixed, largest = _of_soft(targets)
    if labels is None or labels.shape != (rows,):
        return None
    labels = labels.detach().to(log_probs.device, torch.int64)
    batch = Batch(log_probs, labels, ignored, mixed is not None, mixed, largest)
    return _rescaled(batch) if kind in ONE_BY_ONE else batch


def labels_of(consumer: Node) -> Tensor | None:
    """(B,) int64, of torch's own loss: each a label, or the one that it ignores. None of any other loss."""
    labels = saved(consumer, "target") if name_of(consumer).startswith("NllLoss") else None
    return labels.detach() if isinstance(labels, Tensor) and labels.dim() == 1 else None


def _read_other(given: Given) -> Batch | None:
    """Of a loss that is not CE itself, CE of the scores that it was given."""
    mixed, largest = None, None
    if given.targets.dim() == 1:
        labels = given.targets.long()
    else:
        labels, mixed, largest = _of_soft(given.targets)
    if labels.shape != given.scores.shape[:1]:
        return None
    batch = Batch(given.scores.float().log_softmax(1), labels, IGNORED, mixed is not None, mixed, largest)
    return _rescaled(batch) if given.of_no_scale else batch


def _rescaled(batch: Batch) -> Batch:
    scaled = other_losses.at_its_best_scale(batch.log_probs, batch.labels, batch.counted)
    return replace(batch, log_probs=scaled, as_given=batch.log_probs)


def _of_soft(targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, C) -> labels (B,), whether there is more than one (B,), the share of the largest (B,)."""
    targets = targets.detach().float()
    # Written by hand, the minus often sits on the targets; the sign of their sum tells, without a fetch.
    targets = targets * targets.sum().sign()
    first, second = targets.topk(min(2, targets.shape[1]), 1).values.T[[0, -1]]
    mixed = second - targets.amin(1) > 1e-3 * first
    told = first - targets.amin(1) > 1e-6  # the same for every class is no label
    return torch.where(told, targets.argmax(1), IGNORED), mixed, first / targets.sum(1)


def class_weights_of(consumer: Node) -> Tensor | None:
    """(C,), what the loss multiplies each class's share with; None where it has no such weights, or not torch's own."""
    weights = saved(consumer, "weight") if name_of(consumer).startswith("NllLoss") else None
    return weights.detach() if isinstance(weights, Tensor) else None


def weight_of_ce(root: Node, path: tuple[int, ...]) -> Tensor | float | None:
    """What the loss multiplies plain CE with: the product of the factors between the two, 1 for CE itself.

    Sums and means count as 1, so only the sign, and whether it is 0, can be relied on. A factor that lies on a device
    stays there. None where something else than factors and sums lies between (a power, an exponential).
    """
    weight: Tensor | float = 1.0
    node = root
    for index in path:
        name = name_of(node)
        if name == "Mul" or (name == "Div" and index == 0):
            other = saved(node, "self") if index else saved(node, "other")
            if isinstance(other, Tensor):
                other = other.detach().float().mean()  # a weight for each sample counts with its mean
                if other.device.type == "cpu":  # a plain number is kept as such a tensor; on the way to a GPU it waits
                    other = other.item()
            elif not isinstance(other, (int, float)):
                return None
            weight = weight * other if name == "Mul" else _divided(weight, other)
        elif name == "Neg" or (name == "Sub" and index == 1) or name == "Rsub":
            weight = -weight
        elif name not in SUMS:
            return None
        node = node.next_functions[index][0]
        if node is None:
            return None
    if name_of(node) == COMPILED:
        return None  # there are more factors within it
    return weight if name_of(node).startswith(("NllLoss", *LOSSES)) else _sign_of_picked(node, weight)


def _divided(weight: Tensor | float, other: Tensor | float) -> Tensor | float:
    """As torch divides: by 0 it is infinite, or no number, and nothing is raised."""
    if isinstance(other, Tensor) or other != 0:
        return weight / other
    return weight * math.copysign(math.inf, other)


def _sign_of_picked(consumer: Node, weight: Tensor | float) -> Tensor | float | None:
    """The weight where CE was written by hand: log-probabilities are picked or multiplied, and a minus is outside."""
    by_hand = written_by_hand(consumer)
    if by_hand is not None:
        return weight if by_hand[2] else -weight
    index = 0 if log_softmax_below(consumer, 0) is not None else 1
    node, log_softmax = follow(consumer, (index,)), log_softmax_of(consumer)
    while node is not None and node is not log_softmax:
        if name_of(node) == "Neg":
            weight = -weight
        node = follow(node, (0,))
    if name_of(consumer) == "Mul":
        targets = saved(consumer, "self") if index else saved(consumer, "other")
        if targets is None:
            return None
        weight = weight * targets.detach().float().sum().sign()
    return -weight
