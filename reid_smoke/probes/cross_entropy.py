"""The identity loss, as the graph behind a loss holds it: log-probabilities, labels, and what CE is multiplied with.

CE is known by its log-softmax with labels, however it was written: by torch's functions, picked by gather or index,
multiplied with targets, or put together from a logsumexp. For other losses over identities see `other_losses`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from reid_smoke.probes import other_losses
from reid_smoke.probes.nodes import Node, behind, edges, follow, name_of, saved, shape_of
from reid_smoke.probes.other_losses import COMPILED, LOSSES, ONE_BY_ONE, SHAPES, Given, read_given

SUMS = (
    "Add", "Sub", "Sum", "Mean", "View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "ToCopy", "Stack", "Cat",
    "Select", "Expand", "Alias", "Clone", "MaskedSelect", "Index",
)  # fmt: skip  # operations that pass a gradient on as it is, up to a positive factor
PICKS = ("Gather", "Index", "MaskedSelect")  # of each row the value at its label
IGNORED = -100  # torch's own mark of a row that counts for nothing
LEFT_OUT = -69.0  # the log of the little that stands for 0
COMBINES = ("Sub", "Add", "Log")  # what ends a CE without a log-softmax


@dataclass
class Batch:
    """What one classification loss was given. log_probs (B, C); targets (B,) int64, each a label or `ignored`.

    What else there is to know of it is computed by those who ask: a launch each, on a GPU.
    """

    log_probs: Tensor
    targets: Tensor
    ignored: int = IGNORED
    soft: bool = False  # the labels are the largest of soft targets
    mixed: Tensor | None = None  # (B,) bool, of soft targets: more than one label, as of mixup; smoothing has one
    largest: Tensor | None = None  # (B,), of soft targets: the share of the largest
    as_given: Tensor | None = None  # (B, C), where log_probs are at another scale than the loss's

    @cached_property
    def labels(self) -> Tensor:
        """(B,) int64, each within 0..C-1; of a row that is ignored any of them."""
        return self.targets.clamp(0, self.log_probs.shape[1] - 1)

    @cached_property
    def counted(self) -> Tensor:
        """(B,) bool: the row is not ignored."""
        return self.targets != self.ignored

    @cached_property
    def of_one_label(self) -> Tensor:
        """(B,) bool: the row counts, and its target is one-hot or smoothed: of mixed ones no single label tells."""
        return self.counted if self.mixed is None else self.counted & ~self.mixed

    @cached_property
    def wrong(self) -> Tensor:
        """(B, C), softmax less one-hot: what plain CE, summed, has for a gradient at the logits. 0 in rows that are not
        `of_one_label`; a smoothed target asks for nearly what its label does."""
        odds = self.log_probs.float().exp()
        wrong = odds.scatter_add(1, self.labels[:, None], -torch.ones_like(odds[:, :1]))
        return torch.where(self.of_one_label[:, None], wrong, 0.0)


def log_softmax_of(node: Node) -> Node | None:
    """The log-softmax whose labels `node` holds; None where it is no such node, or its values are hidden."""
    found = _log_softmax_of(node)
    return found if found is not None and _is_kept(found) else None


def hides_log_softmax(node: Node) -> bool:
    """Whether there is one, and somebody's hook has packed its values away."""
    return _log_softmax_of(node) is not None and log_softmax_of(node) is None


def _is_kept(log_softmax: Node) -> bool:
    """Whether what `log_probs_of` reads is there to be read."""
    wanted = {"Logsumexp": ("self", "result"), "Log": ("self",), "LogSigmoid": ("self",)}
    own = wanted.get(name_of(log_softmax), ("result",) if name_of(log_softmax) not in (*LOSSES, COMPILED) else ())
    return all(saved(log_softmax, name) is not None for name in own)


def _log_softmax_of(node: Node) -> Node | None:
    name = name_of(node)
    if name.startswith("NllLoss") or name in PICKS:
        return _below(node, 0) or _shifted(node)
    by_hand = _by_hand(node)
    if by_hand is not None:
        return by_hand[0]
    if name == "Mul":  # targets * log_probs, written by hand or by F.cross_entropy with probabilities
        for index, side in ((0, "other"), (1, "self")):
            below = _below(node, index)
            targets = saved(node, side)
            if below is None or not _is_kept(below):
                continue
            if isinstance(targets, Tensor) and targets.shape == log_probs_of(below).shape:
                return below
    given = read_given(node)
    return given.made_by if given is not None else None


def is_cross_entropy(consumer: Node) -> bool:
    """The loss is CE itself, not another one over the same labels, and its targets need no second look."""
    by_hand, log_softmax = _by_hand(consumer), log_softmax_of(consumer)
    if name_of(consumer) in (*LOSSES, COMPILED) or (by_hand is not None and name_of(by_hand[1]) == "Mul"):
        return False
    return _mask_of(consumer) is None and (log_softmax is None or name_of(log_softmax) not in ONE_BY_ONE)


def tells_identities(consumer: Node) -> bool:
    """Of a loss that is not CE itself, whether its targets are one class a row. Waits for the device."""
    by_hand = _by_hand(consumer)
    consumer = consumer if by_hand is None else by_hand[1]
    given, targets = read_given(consumer), _mask_of(consumer)
    if given is not None:
        targets = given.targets
    elif targets is None and name_of(consumer) == "Mul":
        targets = _targets_of(consumer, log_softmax_of(consumer) or (by_hand[0] if by_hand is not None else None))
    if targets is None:
        return False
    return targets.dim() == 1 or other_losses.is_one_hot(targets)


def tells_one_each(batch: Batch) -> bool:
    """Whether soft targets are labels that were smoothed: one class of each row. Waits for the device."""
    return batch.mixed is not None and bool((batch.counted.any() & ~batch.mixed.any()).item())


def _by_hand(node: Node) -> tuple[Node, Node, bool] | None:
    """CE without a log-softmax: `logsumexp(x) - x[label]`, or the log of a softmax's picked probability.

    The node that stands for the log-softmax, the one that picked, and whether `node` gives CE itself and not minus CE.
    """
    if name_of(node) not in COMBINES:
        return None
    if name_of(node) == "Log":
        pick, _ = _through(follow(node, (0,)), (*SHAPES, "Clamp", "ClampMin", "Add"))
        softmax = _softmax_of(follow(pick, (0,))) if pick is not None and name_of(pick) in PICKS else None
        if softmax is None and pick is not None and _takes_all_rows(pick):
            pick, _ = _through(follow(pick, (0,)), SHAPES)
        if pick is not None and name_of(pick) == "Sum":  # of softmax * one-hot
            pick, _ = _through(follow(pick, (0,)), SHAPES)
            if pick is not None and name_of(pick) == "Mul":
                softmax = _softmax_of(follow(pick, (0,))) or _softmax_of(follow(pick, (1,)))
        if softmax is None or pick is None:
            return None
        return (softmax, pick, False) if name_of(pick) in PICKS or _targets_of(pick, softmax) is not None else None
    sides = [_through(child, (*SHAPES, "Neg", "Mean", "Sum")) for child in edges(node)[:2]]
    if len(sides) < 2:
        return None
    if name_of(node) == "Sub":
        sides[1] = (sides[1][0], -sides[1][1])
    for (whole, sign), (pick, other) in (sides, sides[::-1]):
        if whole is None or pick is None or name_of(pick) not in PICKS or sign == other or not _sums_up(whole):
            continue
        # The same logits on either side: a cast to fp32 may stand on one of them only.
        if _through(_summed(whole), SHAPES)[0] is _through(follow(pick, (0,)), SHAPES)[0]:
            return whole, pick, sign > 0
    return None


def _takes_all_rows(node: Node) -> bool:
    """An index by which none of (B,) is left out, as of the probabilities that are not 0 where none is."""
    given, taken = follow(node, (0,)), shape_of(node)
    return name_of(node) in PICKS and given is not None and len(taken) == 1 and shape_of(given) == taken


def _softmax_of(node: Node | None) -> Node | None:
    """A softmax, through views and casts; of `x.exp() / x.exp().sum(1)` the exponentials. None for anything else."""
    node, _ = _through(node, SHAPES)
    if node is None or name_of(node) == "Softmax":
        return node
    above = _shared_out(node)
    if above is not None and name_of(above) == "Mul":  # some classes are left out of it
        above, _ = _through(next(iter(_made_of(above)), None), SHAPES)
    return above if above is not None and name_of(above) == "Exp" else None


def _shared_out(node: Node) -> Node | None:
    """What is divided by its own sum, to which a little may be added that it never is 0; None: no such division."""
    return _through(edges(node)[0], SHAPES)[0] if _total_of(node) is not None else None


def _total_of(node: Node) -> Node | None:
    """The sum by which it is divided."""
    if name_of(node) != "Div" or len(edges(node)) < 2:
        return None
    above = _through(edges(node)[0], SHAPES)[0]
    below = _through(edges(node)[1], (*SHAPES, "Add", "Clamp", "ClampMin"))[0]
    if above is None or below is None or name_of(below) != "Sum":
        return None
    return below if _through(follow(below, (0,)), SHAPES)[0] is above else None


def _made_of(product: Node) -> list[Node]:
    """The factors through which a gradient goes."""
    return [child for child in edges(product) if child is not None]


def _left_in(consumer: Node) -> Tensor | None:
    """(B, C), what the exponentials are multiplied with before they are divided by their sum: 0 leaves a class out.
    None where nothing is."""
    for child in edges(consumer)[:2]:
        division = _through(child, (*SHAPES, "Neg", "Log", "Clamp", "ClampMin", "Add"))[0]
        product = _shared_out(division) if division is not None else None
        if product is not None and name_of(product) == "Mul":
            kept = product._saved_other if edges(product)[0] is not None else product._saved_self
            return kept.detach() if isinstance(kept, Tensor) else None
    return None


def _targets_of(product: Node, log_softmax: Node | None) -> Tensor | None:
    """What (log-)probabilities are multiplied with, (B, C); None where it is not kept or does not fit."""
    for index, side in ((0, "other"), (1, "self")):
        below = follow(product, (index,))
        if log_softmax is not None and log_softmax in (_below(product, index), _softmax_of(below)):
            targets = saved(product, side)
            fits = (
                isinstance(targets, Tensor)
                and _is_kept(log_softmax)
                and targets.shape == log_probs_of(log_softmax).shape
            )
            return targets if fits else None
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


def _shifted(pick: Node) -> Node | None:
    """The logsumexp of a log-softmax written by hand, `x - logsumexp(x)`, from which `pick` picks."""
    minus, _ = _through(follow(pick, (0,)), SHAPES)
    if minus is None or name_of(minus) != "Sub" or len(edges(minus)) < 2:
        return None
    logits, whole = (_through(child, SHAPES)[0] for child in edges(minus)[:2])
    same = whole is not None and _sums_up(whole) and _through(_summed(whole), SHAPES)[0] is logits
    return whole if same and logits is not None else None


def _through(node: Node | None, names: tuple[str, ...]) -> tuple[Node | None, int]:
    """The first node below with another name than these, and the sign that the minuses on the way make."""
    sign = 1
    while node is not None and name_of(node) in names:
        sign = -sign if name_of(node) == "Neg" else sign
        node = follow(node, (0,))
    return node, sign


def _sums_up(node: Node) -> bool:
    """A logsumexp, in one piece or as `x.exp().sum(1).log()`."""
    if name_of(node) != "Log":
        return name_of(node) == "Logsumexp"
    total, exponentials = follow(node, (0,)), follow(node, (0, 0))
    return total is not None and exponentials is not None and (name_of(total), name_of(exponentials)) == ("Sum", "Exp")


def _summed(node: Node) -> Node | None:
    return follow(node, (0,) if name_of(node) == "Logsumexp" else (0, 0, 0))


def _below(node: Node, index: int) -> Node | None:
    """The log-softmax (or log of a softmax) on that edge, through casts and views; None for anything else."""
    child = follow(node, (index,))
    while child is not None and name_of(child) in ("ToCopy", "View", "UnsafeView", "Neg"):
        child = follow(child, (0,))
    if child is None:
        return None
    name = name_of(child)
    if name in ("LogSoftmax", "LogSigmoid"):
        return child
    if name == "Log":
        below = follow(child, (0,))
        if below is not None and name_of(below) in ("Clamp", "ClampMin", "Add"):
            below = follow(below, (0,))
        return below if below is not None and name_of(below) == "Sigmoid" else _softmax_of(below)
    return None


def log_probs_of(node: Node) -> Tensor:
    """(B, C), of what stands for the log-softmax."""
    if name_of(node) == "Logsumexp":
        return _less(saved(node, "self"), saved(node, "result"))
    if name_of(node) == "Log":
        return _less(saved(follow(node, (0, 0)), "result").log(), saved(node, "self").log())
    if name_of(node) == "LogSigmoid":
        logits: Tensor = saved(node, "self")
        return logits.float().log_softmax(-1)
    result: Tensor = saved(node, "result")
    if name_of(node) == "Exp":
        return result.clamp_min(1e-30).log().log_softmax(-1)
    if name_of(node) == "Sigmoid":
        return result.float().logit(1e-7).log_softmax(-1)
    return result if name_of(node) == "LogSoftmax" else result.clamp_min(1e-30).log()


def is_over_batch(consumer: Node, log_softmax: Node) -> bool:
    """Whether what stands for the log-softmax (B, C) of a loss is taken over the samples."""
    summed: Node | None = log_softmax
    if name_of(log_softmax) == "Log":  # of a sum of exponentials
        summed = follow(log_softmax, (0,))
    elif name_of(log_softmax) == "Exp":  # exponentials, which are divided by their sum
        totals = map(_total_of, behind(consumer, ends=lambda node: node is log_softmax))
        summed = next((total for total in totals if total is not None), None)
    dim = saved(summed, "dim")
    if isinstance(dim, (tuple, list)):
        dim = dim[0] if len(dim) == 1 else None
    return isinstance(dim, int) and (dim - 2**64 if dim >= 2**63 else dim) in (0, -2)


def _less(logits: Tensor, whole: Tensor) -> Tensor:
    """(B, C) less (B,) or (B, 1); what has another shape stays as it is, and is nobody's log-softmax."""
    fits = logits.dim() == 2 and whole.numel() == logits.shape[0]
    return logits.detach() - whole.detach().reshape(-1, 1) if fits else logits.detach()[None]


def read_batch(consumer: Node) -> Batch | None:
    """Log-probabilities and labels as the loss had them; None where they are no (B, C) and (B,).

    Nothing is fetched from the device.
    """
    given = read_given(consumer)
    if given is not None:
        return _read_other(given)
    log_softmax = log_softmax_of(consumer)
    if log_softmax is None:
        return None
    log_probs = log_probs_of(log_softmax).detach()
    if log_probs.dim() != 2:
        return None
    left_in = _left_in(consumer) if name_of(log_softmax) == "Exp" else None
    if left_in is not None and left_in.dim() <= 2:
        log_probs = torch.where(left_in > 0, log_probs, LEFT_OUT).log_softmax(1)
    rows, classes = log_probs.shape
    by_hand = _by_hand(consumer)
    consumer = consumer if by_hand is None else by_hand[1]
    name, ignored, mixed, largest = name_of(consumer), IGNORED, None, None
    if name.startswith("NllLoss"):
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
        targets = _targets_of(consumer, log_softmax)
        if targets is None:
            return None
        labels, mixed, largest = _of_soft(targets)
    if labels is None or labels.shape != (rows,):
        return None
    labels = labels.detach().long().to(log_probs.device)
    batch = Batch(log_probs, labels, ignored, mixed is not None, mixed, largest)
    return _rescaled(batch) if name_of(log_softmax) in ONE_BY_ONE else batch


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
    by_hand = _by_hand(consumer)
    if by_hand is not None:
        return weight if by_hand[2] else -weight
    index = 0 if _below(consumer, 0) is not None else 1
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
