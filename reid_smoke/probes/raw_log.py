"""The log of what a layer puts out, where the log of a probability was meant."""

from __future__ import annotations

from torch import Tensor

from reid_smoke.probes.nodes import NORMS, POOLS, PRODUCTS, Node, behind, edges, follow, is_a, name_of, saved
from reid_smoke.probes.other_losses import SHAPES

KEPT_FROM_ZERO = ("Add", "Clamp", "ClampMin")  # what is added to a probability before its log is taken
MAKE_PROBABILITIES = ("Softmax", "LogSoftmax", "Exp", "Sigmoid", "Softplus", "Pow")


def takes_log_of_outputs(loss: Node) -> bool:
    """Whether the log is taken of a layer's outputs as they are. Waits for the device.

    Probabilities that a matrix moved, as noisy labels are corrected for, are a product's, too: then a softmax lies
    behind it, or none of them is under 0.
    """
    log = follow(loss, (0,))
    while log is not None and name_of(log) in SHAPES:
        log = follow(log, (0,))
    if log is None or name_of(log) != "Log":
        return False
    node = follow(log, (0,))
    while node is not None and name_of(node) in (*SHAPES, *KEPT_FROM_ZERO):
        node = next((child for child in edges(node) if child is not None), None)
    if node is None or not is_a(node, PRODUCTS):
        return False
    if any(name_of(one) in MAKE_PROBABILITIES for one in behind(node, lambda one: is_a(one, NORMS + POOLS))):
        return False
    given = saved(log, "self")
    # Once the first log of a negative number has gone backward, nothing but NaN comes out of the layer.
    return isinstance(given, Tensor) and not bool((given.detach() >= 0).all())
