"""Identity losses that are no cross-entropy over a softmax: each class by itself (BCE), squares, margins; and a loss
that torch.compile made into one node.

They are judged all the same: CE is taken of the scores that they were given. Where a script has a cross-entropy as
well, that one is judged.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from reid_smoke.probes.nodes import Node, all_saved, edges, follow, name_of, saved

SHAPES = ("ToCopy", "View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "Expand", "Alias", "Clone")
LOSSES = ("BinaryCrossEntropyWithLogits", "BinaryCrossEntropy", "MseLoss", "MultiMarginLoss")
ONE_BY_ONE = ("Sigmoid", "LogSigmoid")  # each class by itself
COMPILED = "CompiledFunction"
SCALES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # squares hold scores within 0 and 1; BCE needs them above 0 and no more
LEAST = 3  # classes


@dataclass
class Given:
    """What such a loss was given. scores (B, C): log-probabilities but for a number a row, and where `of_no_scale` but
    for a factor, too; targets (B,) labels or (B, C) one-hot; made_by: the node that stands for a log-softmax."""

    made_by: Node
    scores: Tensor
    targets: Tensor
    of_no_scale: bool = False


def read_given(node: Node) -> Given | None:
    """None where the node is no such loss. Nothing is fetched from the device."""
    name = name_of(node)
    if name == COMPILED:
        return _compiled(node)
    if name not in LOSSES:
        return None
    scores, targets = saved(node, "self"), saved(node, "target")
    if (
        scores is None
        or targets is None
        or scores.dim() != 2
        or scores.shape[1] < LEAST
        or targets.shape != scores.shape[: targets.dim()]
    ):
        return None
    made_by, of_no_scale = node, True
    if name in ("BinaryCrossEntropy", "MseLoss"):
        below = follow(node, (0,))
        while below is not None and name_of(below) in SHAPES:
            below = follow(below, (0,))
        kind = name_of(below) if below is not None else ""
        if kind == "Softmax":
            made_by, scores, of_no_scale = below, scores.detach().float().clamp_min(1e-30).log(), False
        elif kind == "Sigmoid":
            made_by, scores = below, scores.detach().float().logit(1e-7)
        elif name == "BinaryCrossEntropy":
            return None
    return Given(made_by, scores.detach(), targets.detach(), of_no_scale)


def at_its_best_scale(scores: Tensor, labels: Tensor, counted: Tensor) -> Tensor:
    """Log-probabilities (B, C) of scores that no softmax was trained to suit: at the scale that suits the batch best.

    labels (B,), of which `counted` (B,) count.
    """
    scores = scores.detach().float()
    scales = torch.tensor(SCALES, device=scores.device)
    each = F.log_softmax(scales[:, None, None] * scores[None], 2)  # (S, B, C)
    right = each.gather(2, labels.expand(len(SCALES), -1)[:, :, None])[:, :, 0]  # (S, B)
    best = (right * counted).sum(1).argmax(0, keepdim=True)
    return each.index_select(0, best)[0]


def is_one_hot(targets: Tensor) -> bool:
    """(B, C): one class of each row, smoothed or not, and none beside it, as neither attributes nor another model's
    opinion have it. Waits for the device."""
    targets = targets.detach().float()
    if targets.dim() != 2 or targets.shape[1] < LEAST:
        return False
    first, second = targets.topk(2, 1).values.T
    least = targets.amin(1)
    return bool((first - least > 0.5 * first.abs()).all() & (second - least <= 1e-3 * (first - least)).all())


def _compiled(node: Node) -> Given | None:
    """A loss within what torch.compile made into one node: what its backward kept, told apart by shapes."""
    given = _saved(node)
    flat = [t for t in given if t.is_floating_point() and t.dim() == 2 and t.shape[1] >= LEAST]
    heights = {t.shape[0] for t in flat}
    whole = [t for t in given if t.dtype is torch.int64 and t.dim() == 1 and t.numel() > 1]
    whole = [t for t in whole if t.numel() in heights]
    if len({t.data_ptr() for t in whole}) != 1:
        return None
    labels = whole[0].detach()
    rows = [t for t in flat if t.shape[0] == len(labels)]
    if len({tuple(t.shape) for t in rows}) > 1:
        # A model and its loss in one: the scores are as wide as a weight is high that no other follows.
        weights = [t.shape for t in (*given, *_leaves(node)) if t.dim() == 2 and t.shape[0] != len(labels)]
        high, wide = {shape[0] for shape in weights}, {shape[1] for shape in weights}
        rows = [t for t in rows if t.shape[1] in high - wide]
    if not rows or len({tuple(t.shape) for t in rows}) > 1:
        return None
    return Given(node, rows[-1].detach(), labels)


def _leaves(node: Node) -> list[Tensor]:
    return [child.variable for child in edges(node) if child is not None and hasattr(child, "variable")]


def saved_images(node: Node) -> Tensor | None:
    """(B, C, H, W), what a compiled model was given: of what its backward kept the widest that looks like images; the
    weights of a first layer do, too, and are smaller."""
    alike = [
        t
        for t in (_saved(node) if name_of(node) == COMPILED else ())
        if t.is_floating_point() and t.dim() == 4 and t.shape[1] in (1, 3) and min(t.shape[2:]) > 7
    ]
    return max(alike, key=lambda t: t.shape[2] * t.shape[3]).detach() if alike else None


def _saved(node: Node) -> tuple[Tensor, ...]:
    with contextlib.suppress(Exception):  # freed, or changed since
        return tuple(t for t in all_saved(node) if isinstance(t, Tensor))
    return ()
