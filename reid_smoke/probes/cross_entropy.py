"""The identity loss, as the graph behind a loss holds it: log-probabilities, labels, and what CE is multiplied with.

CE is known by its log-softmax with labels, however it was written: by torch's functions, picked by gather or index,
multiplied with targets, or put together from a logsumexp.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from reid_smoke.probes.nodes import Node, edges, follow, name_of

SUMS = (
    "Add", "Sub", "Sum", "Mean", "View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "ToCopy", "Stack", "Cat",
    "Select", "Expand", "Alias", "Clone", "MaskedSelect", "Index",
)  # fmt: skip  # operations that pass a gradient on as it is, up to a positive factor
PICKS = ("Gather", "Index")  # of each row the value at its label
SHAPES = ("ToCopy", "View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "Expand", "Alias", "Clone")
IGNORED = -100  # torch's own mark of a row that counts for nothing
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
    """The log-softmax whose labels `node` holds; None where it is no such node."""
    name = name_of(node)
    if name.startswith("NllLoss") or name in PICKS:
        return _below(node, 0) or _shifted(node)
    by_hand = _by_hand(node)
    if by_hand is not None:
        return by_hand[0]
    if name == "Mul":  # targets * log_probs, written by hand or by F.cross_entropy with probabilities
        for index, saved in ((0, "_saved_other"), (1, "_saved_self")):
            below = _below(node, index)
            targets = getattr(node, saved, None)
            if below is not None and isinstance(targets, Tensor) and targets.shape == log_probs_of(below).shape:
                return below
    return None


def _by_hand(node: Node) -> tuple[Node, Node, bool] | None:
    """CE without a log-softmax: `logsumexp(x) - x[label]`, or the log of a softmax's picked probability.

    The node that stands for the log-softmax, the one that picked, and whether `node` gives CE itself and not minus CE.
    """
    if name_of(node) not in COMBINES:
        return None
    if name_of(node) == "Log":
        pick, _ = _through(follow(node, (0,)), (*SHAPES, "Clamp", "ClampMin", "Add"))
        softmax, _ = _through(follow(pick, (0,)), SHAPES) if pick is not None and name_of(pick) in PICKS else (None, 1)
        found = softmax is not None and pick is not None and name_of(softmax) == "Softmax"
        return (softmax, pick, False) if found else None
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
    if name == "LogSoftmax":
        return child
    if name == "Log":
        below = follow(child, (0,))
        if below is not None and name_of(below) in ("Clamp", "ClampMin", "Add"):
            below = follow(below, (0,))
        if below is not None and name_of(below) == "Softmax":
            return below
    return None


def log_probs_of(node: Node) -> Tensor:
    """(B, C), of what stands for the log-softmax."""
    if name_of(node) == "Logsumexp":
        return _less(node._saved_self, node._saved_result)
    if name_of(node) == "Log":
        return _less(node.next_functions[0][0].next_functions[0][0]._saved_result.log(), node._saved_self.log())
    result: Tensor = node._saved_result
    return result if name_of(node) == "LogSoftmax" else result.clamp_min(1e-30).log()


def is_over_batch(node: Node) -> bool:
    """Whether what stands for the log-softmax (B, C) is taken over the samples."""
    if name_of(node) == "Log":  # of a sum of exponentials
        node = follow(node, (0,))
    dim = getattr(node, "_saved_dim", None)
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
    log_softmax = log_softmax_of(consumer)
    if log_softmax is None:
        return None
    log_probs = log_probs_of(log_softmax).detach()
    if log_probs.dim() != 2:
        return None
    rows, classes = log_probs.shape
    by_hand = _by_hand(consumer)
    consumer = consumer if by_hand is None else by_hand[1]
    name, ignored, mixed, largest = name_of(consumer), IGNORED, None, None
    if name.startswith("NllLoss"):
        labels, ignored = consumer._saved_target, int(consumer._saved_ignore_index)
        if ignored >= 2**63:  # torch < 2.9 shows the int64 as unsigned
            ignored -= 2**64
    elif name == "Gather":
        labels = consumer._saved_index
        if labels.numel() != rows:
            return None
        labels = labels.reshape(rows)
    elif name == "Index":
        indices = [i for i in consumer._saved_indices if isinstance(i, Tensor)]
        if not indices or indices[-1].numel() != rows:
            return None
        labels = indices[-1].reshape(rows)
        # Indices may count from the end, which labels never do.
        labels = torch.where(labels == IGNORED, IGNORED, labels.clamp(0, classes - 1))
    else:
        targets = consumer._saved_other if _below(consumer, 0) is log_softmax else consumer._saved_self
        targets = targets.detach().float()
        # Written by hand, the minus often sits on the targets; the sign of their sum tells, without a fetch.
        targets = targets * targets.sum().sign()
        first, second = targets.topk(min(2, classes), 1).values.T[[0, -1]]
        mixed = second - targets.amin(1) > 1e-3 * first
        largest = first / targets.sum(1)
        told = first - targets.amin(1) > 1e-6  # the same for every class is no label
        labels = torch.where(told, targets.argmax(1), IGNORED)
    if labels.shape != (rows,):
        return None
    labels = labels.detach().long().to(log_probs.device)
    return Batch(log_probs, labels, ignored, mixed is not None, mixed, largest)


def class_weights_of(consumer: Node) -> Tensor | None:
    """(C,), what the loss multiplies each class's share with; None where it has no such weights, or not torch's own."""
    weights = consumer._saved_weight if name_of(consumer).startswith("NllLoss") else None
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
            other = node._saved_self if index else node._saved_other
            if isinstance(other, Tensor):
                other = other.detach().float().mean()  # a weight for each sample counts with its mean
                if other.device.type == "cpu":  # a plain number is kept as such a tensor; on the way to a GPU it waits
                    other = other.item()
            elif not isinstance(other, (int, float)):
                return None
            weight = weight * other if name == "Mul" else weight / other
        elif name == "Neg" or (name == "Sub" and index == 1) or name == "Rsub":
            weight = -weight
        elif name not in SUMS:
            return None
        node = node.next_functions[index][0]
        if node is None:
            return None
    return weight if name_of(node).startswith("NllLoss") else _sign_of_picked(node, weight)


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
        targets = consumer._saved_self if index else consumer._saved_other
        weight = weight * targets.detach().float().sum().sign()
    return -weight
