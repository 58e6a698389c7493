"""A cross-entropy whose right column is always the same one, for it was put in front of the others: InfoNCE."""

from __future__ import annotations

from reid_smoke.probes.batch import Batch
from reid_smoke.probes.classifier import Product
from reid_smoke.probes.nodes import Node, edges, follow, name_of, saved, shape_of
from reid_smoke.probes.other_losses import SHAPES

SCALES = (*SHAPES, "Div", "Mul")
COLUMNS = (1, 2**64 - 1, -1)  # torch before 2.9 shows the int64 as unsigned


def tells_where_it_stands(batch: Batch, log_softmax: Node | None, product: Product | None) -> bool:
    """Whether the scores (B, 1 + K) are one column beside many, all labels are 0, and no parameter makes the scores.

    It is a comparison of an image with its other view and with K others, as MoCo and SimCLR make it: the labels say
    where the other view stands, and not who is in the image. Waits for the device where the scores are made so.
    """
    if batch.soft or (product is not None and product.weight is not None):
        return False
    node = follow(log_softmax, (0,))
    while node is not None and name_of(node) in SCALES:
        children = edges(node)
        # A learned temperature hangs on the other edge, and is one number.
        node = next((c for c in children if c is not None and len(shape_of(c)) == 2), None)
    if node is None or name_of(node) != "Cat" or saved(node, "dim") not in COLUMNS:
        return False
    parts = edges(node)  # None: of a bank that asks for no gradient
    in_front = len(parts) > 1 and parts[0] is not None and shape_of(parts[0])[1:] == (1,)
    return in_front and not bool(batch.targets.any())
