"""Which frozen weights the images pass on their way to the loss, and which stand beside it: a text tower, say."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from reid_smoke.probes.nodes import PRODUCTS, Node, behind, edges, is_a, saved

SIDES = {"weight": 1, "mat2": -1, "self": 0, "mat1": 1}  # of a product: edge of each


def on_the_way(parameters: Sequence[tuple[str, Tensor]], consumer: Node) -> list[tuple[str, Tensor]]:
    """Those that ask for a gradient, and of the frozen ones those whose values the graph behind `consumer` keeps.

    To be asked where the graph goes back to the images: whatever they pass on their way is in it then.
    """
    if not any(p.dim() >= 2 and not p.requires_grad for _, p in parameters):
        return list(parameters)
    operands = [value for node in behind(consumer) if is_a(node, PRODUCTS) for value in _without_gradient(node)]
    addresses = {value.data_ptr() for value in operands}
    # Cast by autocast, a weight lies elsewhere.
    shapes = {shape for value in operands for shape in (tuple(value.shape), tuple(value.shape)[::-1])}
    return [(n, p) for n, p in parameters if p.requires_grad or p.data_ptr() in addresses or tuple(p.shape) in shapes]


def _without_gradient(product: Node) -> list[Tensor]:
    children = edges(product)
    values = ((saved(product, name), children[edge]) for name, edge in SIDES.items() if edge < len(children))
    return [value.detach() for value, child in values if child is None and isinstance(value, Tensor)]
