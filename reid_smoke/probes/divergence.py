"""A divergence from a teacher's probabilities: what kl_div was given in the place of log-probabilities."""

from __future__ import annotations

import torch
from torch import Tensor

from reid_smoke.probes.nodes import PRODUCTS, Node, edges, follow, is_a, name_of, names_below, saved
from reid_smoke.probes.other_losses import SHAPES

LOGS = ("LogSoftmax", "Log", "Logsumexp", "LogSigmoid")


def fed_to_kl_div(node: Node) -> tuple[str, ...] | None:
    """The operations behind what kl_div was given, the last in front, where none of them takes a log; None where it is
    no kl_div, or a right one. Looks at the targets, and so waits for their device.

    torch makes it of `xlogy(t, t) - t * input`, or of `t.exp() * (t - input)` where the targets are logs.
    """
    if name_of(node) == "Sub" and len(edges(node)) > 1 and edges(node)[0] is None:
        product = edges(node)[1]
        if product is None or name_of(product) != "Mul" or edges(product)[0] is not None:
            return None
        targets, given = saved(product, "self"), product
    elif name_of(node) == "Mul" and edges(node)[0] is None:
        targets, minus = saved(node, "self"), follow(node, (1,))
        if minus is None or name_of(minus) != "Sub" or edges(minus)[0] is not None:
            return None
        given = minus
    else:
        return None
    names = _behind(follow(given, (1,)))
    if not isinstance(targets, Tensor) or not names or any(name in LOGS for name in names):
        return None
    return names if _are_probabilities(targets) else None


def _behind(node: Node | None) -> tuple[str, ...]:
    """Down to the classifier or to a model that was compiled; () where another way leads there."""
    if node is None:
        return ()
    names = (name_of(node), *names_below(node)) if not is_a(node, PRODUCTS) else (name_of(node),)
    plain = (*SHAPES, *LOGS, "Softmax", "Sigmoid", "Mul", "Div", "Add", "Sub")
    ends = is_a(node, PRODUCTS) or any(f"{names[-1]}Backward".startswith(kind) for kind in PRODUCTS)
    return names if ends and all(name in plain for name in names[:-1]) else ()


def _are_probabilities(targets: Tensor) -> bool:
    targets = targets.detach()
    if targets.dim() != 2 or targets.shape[1] < 3 or not targets.is_floating_point():
        return False
    sums = targets.float().sum(1)
    return bool((targets >= 0).all() & torch.isclose(sums, torch.ones_like(sums), atol=0.02).all())
