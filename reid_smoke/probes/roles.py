"""Who is who among a training's parameters: the judged head, its neck, the backbone behind them, and what is beside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from reid_smoke.facts import Role
from reid_smoke.probes.classifier import Product, leaves_on_the_way
from reid_smoke.probes.nodes import ACCUMULATE, Node, behind, is_a


@dataclass(frozen=True)
class Roles:
    """Ids of the parameters of each role; whatever is in none of them is backbone."""

    head: frozenset[int] = frozenset()
    neck: frozenset[int] = frozenset()
    beside: frozenset[int] = frozenset()  # of other heads and their necks, of branches of their own, of a criterion

    def of(self, parameter: Tensor) -> Role:
        key = id(parameter)
        if key in self.head:
            return "head"
        if key in self.neck:
            return "neck"
        return "beside" if key in self.beside else "backbone"


def read_roles(
    log_softmax: Node | None,
    product: Product | None,
    head: Tensor | None,
    neck: nn.Module | None,
    leaves: Sequence[Tensor],
    roots: Iterable[nn.Module],
) -> Roles:
    """The roles around one classification. leaves: all parameters that the loss reaches; roots: the modules of them.

    Beside the backbone is what the loss reaches, but not through this classifier's feature: centres in a criterion,
    heads of parts. They learn on when the backbone is cut off, and would hide that.
    """
    head_ids = {id(head)} if head is not None else set()
    if product is not None and log_softmax is not None:
        head_ids |= {id(leaf) for leaf in leaves_on_the_way(log_softmax, product)}
    neck_ids = {id(p) for p in neck.parameters()} if neck is not None else set()
    own = frozenset(head_ids), frozenset(neck_ids)
    if product is None:
        return Roles(*own)
    upstream = {id(node.variable) for node in behind(product.feature_edge) if is_a(node, (ACCUMULATE,))}
    reached = {id(leaf) for leaf in leaves}
    beside = reached - upstream - head_ids - neck_ids
    # Asking each module for `parameters(recurse=False)` takes as long as all else together.
    own_of = [[p for p in m._parameters.values() if p is not None] for root in roots for m in root.modules()]
    for parameters in own_of:  # what a neck of a part has frozen goes with what it has not
        ids = {id(p) for p in parameters}
        if ids & beside and not ids & upstream:
            beside |= {key for key in ids if key not in head_ids | neck_ids}
    weights = {id(p) for parameters in own_of for p in parameters if p.dim() >= 2}
    if not weights - beside - head_ids - neck_ids:
        return Roles(*own)  # this CE trains its head alone, by design: the backbone is what another loss trains
    return Roles(*own, frozenset(beside))
