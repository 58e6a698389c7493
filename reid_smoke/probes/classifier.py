"""The classifier in the graph: the product that makes the logits, its two sides, and what lies beside and behind it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from reid_smoke.probes.nodes import (
    ACCUMULATE,
    LONGEST_PATH,
    NORMS,
    POOLS,
    PRODUCTS,
    Node,
    behind,
    edges,
    follow,
    is_a,
    name_of,
    saved,
    shape_of,
)  # fmt: skip

LARGEST = frozenset({"Max", "Amax"})  # of several scores
AS_IT_IS = ("T", "Transpose", "Permute", "ToCopy", "View", "Alias")


@dataclass
class Product:
    """The classifier: the product of a feature and a weight that makes the logits."""

    node: Node
    feature_edge: Node | None
    weight: Tensor | None  # the leaf parameter; None where the weight asks for no gradient or is no leaf
    weight_value: Tensor | None  # as saved for backward, transposed or not; to find a frozen head by its storage
    feature: Tensor | None  # (B, D); None where backward has no need of it
    bias: Tensor | None
    nearest: tuple[tuple[int, ...], int] | None = None  # of several centres a class: a row's shape, and which dim of it
    feature_saved_as: str = ""  # torch's name of it


class Shortcut(NamedTuple):
    """How a step's classifier is read where the last look has found it, without telling its sides apart once more."""

    operation: str  # the product's full name
    feature_saved_as: str
    to_weight: tuple[int, ...]  # edges from the product to the weight's leaf

    def leads_to(self, weight: Tensor, node: Node | None) -> bool:
        """Whether the product `node` is such an operation, and of this weight."""
        if node is None or node.name() != self.operation:
            return False
        return getattr(follow(node, self.to_weight), "variable", None) is weight


def shortcut_to(product: Product) -> Shortcut | None:
    """None where its weight is no leaf of the graph."""
    ways: deque[tuple[Node, tuple[int, ...]]] = deque([(product.node, ())])
    while ways and product.weight is not None:
        node, way = ways.popleft()
        if getattr(node, "variable", None) is product.weight:
            return Shortcut(product.node.name(), product.feature_saved_as, way)
        if len(way) < LONGEST_PATH and (not way or not is_a(node, PRODUCTS + NORMS + POOLS)):
            ways.extend((child, (*way, at)) for at, child in enumerate(edges(node)) if child is not None)
    return None


def read_product(node: Node) -> Product | None:
    """The two sides of a classifier's product, told apart: the weight's side ends in one leaf and nothing else."""
    name, children = name_of(node), edges(node)
    if name in ("Mm", "Bmm"):
        left, right, names, bias_edge = children[0], children[1], ("self", "mat2"), None
    elif name == "Addmm":
        left, right, names, bias_edge = children[1], children[2], ("mat1", "mat2"), children[0]
    elif name in ("Convolution", "MkldnnConvolution"):
        left, right, names = children[0], children[1], ("input", "weight")
        bias_edge = children[2] if len(children) > 2 else None
    else:
        return None
    left_value, right_value = (saved(node, side) for side in names)
    bias = _only_leaf(bias_edge) if bias_edge is not None else None
    right_leaf, left_leaf = _only_leaf(right), _only_leaf(left)
    # F.linear puts the weight on the right; weight @ feature.T, seen in hand-written margins, on the left.
    if right_leaf is None and left_leaf is not None and right is not None:
        return Product(node, right, left_leaf, left_value, right_value, bias, feature_saved_as=names[1])
    return Product(node, left, right_leaf, right_value, left_value, bias, feature_saved_as=names[0])


def _only_leaf(node: Node | None) -> Tensor | None:
    """The one leaf behind `node`, through views, casts and normalising; None where there is more behind it."""
    leaf: Tensor | None = None
    for count, passed in enumerate(behind(node), start=1):
        if count > LONGEST_PATH or is_a(passed, PRODUCTS + NORMS + POOLS):
            return None
        if is_a(passed, (ACCUMULATE,)):
            if leaf is not None and leaf is not passed.variable:
                return None
            leaf = passed.variable
    return leaf


def divided(node: Node | None) -> Tensor | None:
    """What a division made, of the two sides that it keeps for backward, as `x / x.norm()` does; None: no such.

    A factor after it is taken along.
    """
    if node is not None and name_of(node) == "Mul":
        inner, factor = edges(node)[0], saved(node, "other")
        if inner is None:
            inner, factor = edges(node)[1], saved(node, "self")
        value = divided(inner) if inner is not None and name_of(inner) == "Div" else None
        return value * factor.detach() if value is not None and isinstance(factor, Tensor) else None
    above = saved(node, "self") if node is not None and name_of(node) == "Div" else None
    below = saved(node, "other")
    return above.detach() / below.detach() if isinstance(above, Tensor) and isinstance(below, Tensor) else None


def nearest_of_several(log_softmax: Node, path: tuple[int, ...]) -> tuple[tuple[int, ...], int] | None:
    """Where the largest of a class's several scores counts: the shape that a row of them has, (C, K) or (K, C), and the
    dimension of it over which the largest is taken. None where there is no such thing on the path to the product."""
    node: Node | None = log_softmax
    for index in path:
        node = edges(node)[index] if node is not None else None
        if node is None:
            return None
        if name_of(node) in LARGEST:
            shape, dim = shape_of(edges(node)[0]), saved(node, "dim")
            dim = dim[0] if isinstance(dim, (tuple, list)) and len(dim) == 1 else dim
            if len(shape) != 3 or not isinstance(dim, int):
                return None
            dim = dim - 2**64 if dim >= 2**63 else dim  # torch < 2.9 shows the int64 as unsigned
            return (shape[1:], dim % 3 - 1) if dim % 3 else None
    return None


def takes_weight_as_it_is(product: Product) -> bool:
    """Nothing but views and casts lies between the classifier's weight and its product: no normalising, no mask."""
    for start in edges(product.node):
        node = start if start is not product.feature_edge else None
        while node is not None and name_of(node) in AS_IT_IS:
            node = edges(node)[0]
        if node is not None and is_a(node, (ACCUMULATE,)) and node.variable is product.weight:
            return True
    return False


def leaves_on_the_way(log_softmax: Node, product: Product) -> list[Tensor]:
    """The parameters between the log-softmax and the classifier's feature: its weight, its bias, a learned scale."""

    def ends(node: Node) -> bool:
        if node is product.node or node is log_softmax:
            return False
        # Beyond the feature lies the backbone, and beyond another product another classifier, added to this one.
        return node is product.feature_edge or is_a(node, PRODUCTS + NORMS + POOLS)

    on_the_way = behind(log_softmax, ends)
    return [node.variable for node in on_the_way if is_a(node, (ACCUMULATE,)) and node is not product.feature_edge]


def has_weight_behind(product: Product) -> bool:
    """Whether a weight that a gradient reaches is behind the classifier's feature; a norm's scale alone is none."""
    return any(is_a(node, (ACCUMULATE,)) and node.variable.dim() >= 2 for node in behind(product.feature_edge))


def asks_at_leaf(product: Product) -> bool:
    """Whether the feature is made of a tensor that asks for a gradient and is nobody's parameter: somebody may mean to
    hand that gradient on, to what made it."""
    ends = (node for node in behind(product.feature_edge) if is_a(node, (ACCUMULATE,)))
    return any(not isinstance(node.variable, nn.Parameter) for node in ends)


def scale_of_logits(log_softmax: Node, path: tuple[int, ...]) -> float:
    """The product of the numbers that the logits are multiplied with between the classifier and the loss, a learned
    temperature among them; for one that lies on a device this waits.
    """
    scale = 1.0
    node: Node | None = log_softmax
    for index in path:
        if node is None:
            break
        name = name_of(node)
        if name == "Mul" or (name == "Div" and index == 0):
            factor = saved(node, "self") if index else saved(node, "other")
            if isinstance(factor, Tensor):
                factor = factor.detach().item() if factor.numel() == 1 else 1.0
            elif factor is None:  # hidden
                return 1.0
            scale = scale * factor if name == "Mul" else scale / factor
        node = node.next_functions[index][0]
    return float(scale)


def steps_to_lengths(log_softmax: Node, path: tuple[int, ...]) -> tuple[int, ...]:
    """Where on the way between the classifier and the loss a number for each row, class or logit is multiplied, and no
    mask: lengths that cosines are given back, as in SphereFace. `scale_of_logits` leaves them out.

    Waits for the device.
    """
    factors = ((at, _several(node, index)) for at, node, index in _along(log_softmax, path))
    return tuple(at for at, factor in factors if factor is not None and _are_lengths(factor))


def lengths_of_logits(log_softmax: Node, path: tuple[int, ...], steps: tuple[int, ...]) -> Tensor | None:
    """These factors of a step's own graph, multiplied; what they are is broadcast to (B, C). None: one is not kept."""
    lengths: Tensor | None = None
    for at, node, index in _along(log_softmax, path):
        if at in steps:
            factor = _several(node, index)
            if factor is None:
                return None
            lengths = factor.detach().float() if lengths is None else lengths * factor.detach().float()
    return lengths


def _are_lengths(factor: Tensor) -> bool:
    """One for each row times one for each class; a mask has zeros, and a margin that is multiplied stands out."""
    if factor.dim() > 2 or not bool((factor != 0).all()):
        return False
    factor = factor.detach().float()
    factor = factor if factor.dim() == 2 else factor[None]
    outer = factor[:, :1] * factor[:1] / factor[0, 0]
    return bool(((factor - outer).abs() <= 1e-2 * factor.abs()).all())


def _along(log_softmax: Node, path: tuple[int, ...]) -> Iterator[tuple[int, Node, int]]:
    """Each node on the way with its place and the edge that is taken from it."""
    node: Node | None = log_softmax
    for at, index in enumerate(path):
        if node is None:
            return
        yield at, node, index
        node = follow(node, (index,))


def _several(node: Node, index: int) -> Tensor | None:
    """What a product has on its other side, where that is more than one number."""
    factor = (saved(node, "self") if index else saved(node, "other")) if name_of(node) == "Mul" else None
    return factor if isinstance(factor, Tensor) and factor.numel() > 1 else None


def part_of_rows(log_softmax: Node | None, path: tuple[int, ...], rows: int) -> int | None:
    """Of scores put together by rows, which part the classifier at the path's end makes, from 0 on.

    None where they were put together another way, or of parts with other than so many rows each.
    """
    part, node = None, log_softmax
    for index in path:
        if node is None:
            return None
        if name_of(node) == "Cat":
            of_rows = saved(node, "dim") in (0, 2**64 - 2)
            if part is not None or not of_rows or any(shape_of(c)[:1] != (rows,) for c in edges(node) if c is not None):
                return None
            part = index
        node = follow(node, (index,))
    return part


def norm_input(node: Node) -> Tensor | None:
    """What a batch norm's node normalised, (B, D, ...); None where it is not kept."""
    value = saved(node, "input")
    return value.detach() if isinstance(value, Tensor) else None


def norm_training(node: Node) -> bool | None:
    """Whether a batch norm's node used the batch's own statistics; None where it does not tell."""
    value = saved(node, "training")
    return None if value is None else bool(value)
