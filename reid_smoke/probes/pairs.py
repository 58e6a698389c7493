"""Whether a loss compares the features of a batch with each other and picks pairs by who is under one label, as triplet
losses do. Told by the masks that the graph keeps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from reid_smoke.probes.nodes import ACCUMULATE, NORMS, POOLS, Node, behind, edges, is_a, name_of, saved, shape_of

CONVOLUTIONS = ("Convolution", "Slow", "Thnn")
PRODUCTS = ("Mm", "Addmm", "Bmm", "Baddbmm")
DISTANCES = ("Cdist", "EuclideanDist")
MOST_WHOLE, MOST_ROWS = 8, 64  # masks that are looked at; row by row there is one a sample, or two
FARTHEST = 4096  # nodes behind a loss; those of such a loss are the nearest


def picks_by_label(root: Node, labels: Tensor) -> bool:
    """labels (B,), of the batch. Waits for the device once.

    Where no two of the batch are under one label, nothing tells such a mask from one that takes out the diagonal.
    """
    whole: list[Tensor] = []
    by_row: list[Tensor] = []
    size = len(labels)
    if size < 2:
        return False
    for mask, masked in _masks(root, size):
        found, most = (whole, MOST_WHOLE) if mask.dim() == 2 else (by_row, MOST_ROWS)
        if len(found) < most and _compares_rows(masked, size):
            found.append(mask.detach().bool().to(labels.device))
    same = labels[:, None] == labels[None]  # (B, B)
    others = same & ~torch.eye(size, dtype=torch.bool, device=labels.device)
    answers = []
    if whole:
        masks = torch.stack(whole)  # (M, B, B)
        fits = (masks == same).flatten(1).all(1) | (masks == others).flatten(1).all(1)
        answers.append(fits.any() & others.any())
    if by_row:
        rows = torch.stack(by_row)  # (M, B)
        answers.append(((rows[:, None] == same).all(2) & others.any(1)).any())
    return bool(torch.stack(answers).any()) if answers else False


def _masks(root: Node, size: int) -> Iterator[tuple[Tensor, Node]]:
    """What picks among (B, B) or a row of it, and the node that it picks from."""
    near = behind(root, _makes_feature)
    for count, node in enumerate(near):
        if count == FARTHEST:
            return
        name = name_of(node)
        if name == "Mul" and shape_of(node) == (size, size):
            for index, side in ((0, "other"), (1, "self")):
                mask, below = _saved(node, side), edges(node)[index]
                if isinstance(mask, Tensor) and mask.shape == (size, size) and below is not None:
                    yield mask, below
        elif name in ("MaskedSelect", "MaskedFill", "Where", "Index"):
            mask = _saved(node, "condition" if name == "Where" else "mask")
            if name == "Index":
                given = [index for index in _saved(node, "indices") or () if isinstance(index, Tensor)]
                mask = given[0] if len(given) == 1 else None
            below = next((child for child in edges(node) if child is not None), None)
            if below is None or not isinstance(mask, Tensor) or mask.dtype is not torch.bool:
                continue
            if mask.shape in ((size, size), (size,)):
                yield ~mask if name == "MaskedFill" else mask, below  # a fill takes out the others


def _saved(node: Node, name: str) -> Any:
    with contextlib.suppress(RuntimeError):  # freed, or changed since
        return saved(node, name)
    return None


def _compares_rows(masked: Node, size: int) -> bool:
    """Whether what is picked from comes of one feature, each row of it against each."""
    for node in behind(masked, lambda node: _makes_feature(node) or _is_pairwise(node, size)):
        if _is_pairwise(node, size):
            return name_of(node) in DISTANCES or _sides_meet(node)
    return False


def _makes_feature(node: Node) -> bool:
    """Beyond lies the backbone. The mean of a loss is no pooling."""
    return is_a(node, (*NORMS, *CONVOLUTIONS)) or (is_a(node, POOLS) and len(shape_of(node)) >= 2)


def _is_pairwise(node: Node, size: int) -> bool:
    shape, name = shape_of(node), name_of(node)
    if name in (*PRODUCTS, *DISTANCES):
        return shape[-2:] == (size, size)
    return name == "Sub" and len(shape) == 3 and shape[:2] == (size, size)


def _sides_meet(node: Node) -> bool:
    """Both sides are made of one thing: of an image's feature and its caption's they are not."""
    reached: list[set[Node]] = []
    for side in edges(node)[-2:]:
        own = behind(side, lambda inner: _makes_feature(inner) or name_of(inner) in PRODUCTS)
        reached.append({inner for inner in own if not is_a(inner, (ACCUMULATE,)) and len(shape_of(inner)) >= 2})
    return bool(set.intersection(*reached))
