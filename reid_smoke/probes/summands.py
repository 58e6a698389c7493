"""How much of a loss came into it without a graph: a detached loss that was added to one that is not."""

from __future__ import annotations

import contextlib

from torch import Tensor

from reid_smoke.probes.nodes import Node, edges, follow, name_of, saved
from reid_smoke.probes.other_losses import SHAPES

DEEPEST = 16  # summands within summands


def without_gradient(root: Node, loss: Tensor) -> float | None:
    """The loss less what its graph adds up to; None where the graph does not keep enough to tell. Waits for the device.

    Told of hinges, relus and their means, as metric losses end in.
    """
    with contextlib.suppress(RuntimeError):  # freed, or changed since
        value = _value(root, DEEPEST)
        return None if value is None else float(loss - value)
    return None


def _value(node: Node | None, depth: int) -> Tensor | None:
    """What a scalar's node made, less the summands that have no graph."""
    while node is not None and name_of(node) in SHAPES:
        node = follow(node, (0,))
    if node is None or not depth:
        return None
    name, children = name_of(node), edges(node)
    if name == "Add" and saved(node, "alpha") == 1:
        values = [_value(child, depth - 1) for child in children if child is not None]
        known = [value for value in values if value is not None]
        return sum(known[1:], known[0]) if known and len(known) == len(values) else None
    if name in ("Mul", "Div") and len(children) > 1:
        index = 0 if children[0] is not None else 1
        factor = saved(node, "self" if index else "other")
        value = _value(children[index], depth - 1)
        if value is None or children[1 - index] is not None or factor is None or (name == "Div" and index):
            return None
        scaled: Tensor = value * factor if name == "Mul" else value / factor
        return scaled
    if name not in ("Mean", "Sum"):
        return None
    hinge = children[0]
    if hinge is None or name_of(hinge) not in ("Relu", "ClampMin"):
        return None
    made = saved(hinge, "result") if name_of(hinge) == "Relu" else saved(hinge, "self")
    if made is None:
        return None
    made = made.detach().float()
    if name_of(hinge) == "ClampMin":
        made = made.clamp_min(saved(hinge, "min"))
    total: Tensor = made.mean() if name == "Mean" else made.sum()
    return total
