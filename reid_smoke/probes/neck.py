"""The BNNeck: the batch norm in front of the head, whether or not it feeds it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from reid_smoke.probes.classifier import Product, norm_training
from reid_smoke.probes.graph import Classification
from reid_smoke.probes.live import Live, find_batch_norm
from reid_smoke.probes.nodes import follow, saved_storage


class Neck(NamedTuple):
    """Nothing of it where the model has none."""

    name: str | None = None
    module: nn.Module | None = None
    feeds_head: bool | None = None  # None: the graph does not tell
    training: bool | None = None  # it normalises by the batch


def find_neck(
    product: Product | None,
    classification: Classification,
    live: Live,
    head: Tensor | None,
    num_classes: int,
    roots: set[int],
) -> Neck:
    """Of the head that `product` makes logits with. roots: which of the alive models the loss reaches."""
    node = None
    if product is not None and classification.norm_steps is not None and "BatchNorm" in classification.ends_in:
        node = follow(product.node, classification.norm_steps)
    address = saved_storage(node, "running_mean") if node is not None else None
    width = None
    if head is not None and head.dim() >= 2:
        width = head.shape[1] if head.shape[0] == num_classes else head.shape[0]
    name, module = find_batch_norm(live, address, None, roots)
    if module is not None and not isinstance(module, nn.BatchNorm1d) and _activated(classification):
        module = None  # BatchNorm2d, ReLU, flatten: the end of a backbone without pooling, not a neck
    if module is not None:
        return Neck(name, module, True, norm_training(node) if node is not None else None)
    name, module = find_batch_norm(live, None, width, roots)
    # Where the feature has no history (frozen, detached), nothing tells whether it came through the neck.
    told = False if product is not None and product.feature_edge is not None else None
    return Neck(name, module, told, module.training) if module is not None else Neck()


def _activated(classification: Classification) -> bool:
    """An activation stands between the norm and the classifier."""
    return any(
        word in name for name in classification.feature_path for word in ("elu", "Elu", "Sigmoid", "Swish", "Tanh")
    )
