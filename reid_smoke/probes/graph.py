"""Read a training from the autograd graph behind its loss.

`loss.backward()` comes with the whole history of the loss: which classification it holds, which labels it was given,
which layer made the logits, what fed that layer, and which parameters it ends in. No model and no loss function has
to be known or wrapped for that.

A walk over the graph of a ResNet-50 takes less than a millisecond, but not nothing: it is made at the first steps and
now and then. In between, the remembered path of edges from the loss to the few nodes that matter is followed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

from torch import Tensor
from torch.autograd.function import BackwardCFunction

from reid_smoke.probes.batch import Batch
from reid_smoke.probes.classifier import read_product
from reid_smoke.probes.cross_entropy import read_batch
from reid_smoke.probes.divergence import fed_to_kl_div
from reid_smoke.probes.log_softmax import hides_log_softmax, log_softmax_of
from reid_smoke.probes.nodes import (
    ACCUMULATE,
    LONGEST_PATH,
    NORMS,
    POOLS,
    PRODUCTS,
    Node,
    edges,
    follow,
    is_a,
    name_of,
    names_below,
    saved,
    shape_of,
)
from reid_smoke.probes.other_losses import COMPILED, saved_images
from reid_smoke.probes.recomputed import recomputed_parameters

OF_OTHER_WIDTHS = ("Cat", "Slice", "Split", "Index", "Gather", "Narrow", "Select", "Pad", "ConstantPad")


@dataclass
class Classification:
    """One log-softmax with labels, and the ways to it and from it."""

    path: tuple[int, ...]  # edges from the loss's node to `consumer`
    consumer: str  # name of the node that holds the labels
    order: int  # when its logits were computed, relative to others
    logit_path: tuple[str, ...] = ()
    product_path: tuple[int, ...] | None = None  # edges from the log-softmax to the classifier's product
    feature_path: tuple[str, ...] = ()
    norm_steps: tuple[int, ...] | None = None  # edges from the product to the norm that feeds it
    feature_steps: tuple[int, ...] = ()  # edges from the product to the last node of feature_path
    ends_in: str = ""  # the last node of feature_path, "" where the graph ends


@dataclass
class Walk:
    """A whole graph: its leaves and its classifications, the one computed first in front."""

    leaves: list[Tensor] = field(default_factory=list)
    classifications: list[Classification] = field(default_factory=list)
    odd: tuple[str, ...] | None = None  # what feeds an nll_loss that is given no log-softmax
    odd_loss: Node | None = None  # that nll_loss
    divergence: tuple[str, ...] | None = None  # what feeds a kl_div that is given no log-probabilities
    image_path: tuple[int, ...] | None = None  # edges from the root to the convolution that is fed the images
    nodes: int = 0


def walk(root: Node) -> Walk:
    """Visit every node behind `root` once."""
    found = Walk()
    queue: deque[tuple[Node, tuple[int, ...]]] = deque([(root, ())])
    seen = {root}
    while queue:
        node, path = queue.popleft()
        found.nodes += 1
        if is_a(node, (ACCUMULATE,)):
            found.leaves.append(node.variable)
            continue
        found.leaves += recomputed_parameters(node)
        log_softmax = log_softmax_of(node)
        if log_softmax is not None:
            found.classifications.append(_classification(node, log_softmax, path))
        elif found.odd is None and name_of(node).startswith("NllLoss") and not hides_log_softmax(node):
            found.odd, found.odd_loss = names_below(node), node
        if found.divergence is None:
            found.divergence = fed_to_kl_div(node)
        if found.image_path is None and is_fed_images(node):
            found.image_path = path
        for index, child in enumerate(edges(node)):
            if child is not None and child not in seen:
                seen.add(child)
                queue.append((child, (*path, index)))
    found.classifications.sort(key=lambda c: (c.product_path is None, c.order))
    return found


def batch_of(root: Node, classification: Classification) -> Batch | None:
    """What a classification of the loss at `root` was given; None where it cannot be read."""
    consumer = follow(root, classification.path)
    return read_batch(consumer) if consumer is not None else None


def _classification(consumer: Node, log_softmax: Node, path: tuple[int, ...]) -> Classification:
    found = Classification(path, consumer.name(), int(log_softmax._sequence_nr()))
    made = shape_of(log_softmax)  # (B, C), but of a logsumexp or of a whole loss
    classes = made[1:] if len(made) == 2 else ()
    for node, names, steps in _down_to_products(log_softmax, classes):
        if not _makes_logits(node, names, classes):
            found.logit_path = found.logit_path or names
            continue
        found.logit_path, found.product_path = names, steps
        # The forward's order, not the loss's: TransReID sums up the parts' losses before it comes to the global one.
        found.order = int(node._sequence_nr())
        product = read_product(node)
        if product is not None and product.feature_edge is not None:
            _describe_feature(found, node, product.feature_edge)
        break
    else:
        found.logit_path = found.logit_path or _down_to_compiled(log_softmax)
    return found


def _makes_logits(product: Node, names: tuple[str, ...], classes: tuple[int, ...]) -> bool:
    """Whether a product may be the classifier, and not a layer of the backbone below logits that no layer makes: a
    memory bank's in a function of its own, distances to prototypes.

    names: what lies between it and the loss. classes: how many, in a tuple; none where that is not known.
    """
    shape = shape_of(product)
    if not classes or not shape or any(name.startswith(OF_OTHER_WIDTHS) for name in names):
        return True
    if prod(shape[1:]) == classes[0]:
        return True  # maps may be flattened into scores
    if any(kind.removesuffix("Backward") in name for name in names for kind in NORMS + POOLS):
        return shape[1] == classes[0]
    return any(size and size % classes[0] == 0 for size in shape)  # of several centres a class the nearest counts


def _is_own_product(node: Node, classes: tuple[int, ...]) -> bool:
    """A function of the user's own from rows of one width to rows of another, no narrower than there are classes: the
    scores of a memory's entries may be gathered into those of its classes."""
    made = shape_of(node)
    if not isinstance(node, BackwardCFunction) or not classes or len(made) != 2 or made[1] < classes[0]:
        return False
    given = [shape_of(child)[1:] for child in edges(node) if child is not None and not is_a(child, (ACCUMULATE,))]
    return bool(given) and all(len(shape) == 1 and shape != made[1:] for shape in given)


def _down_to_compiled(log_softmax: Node) -> tuple[str, ...]:
    """The names passed on the way to a model that torch.compile made into one node; none where there is no such."""
    names: list[str] = []
    node = edges(log_softmax)[0]
    while node is not None and len(names) < LONGEST_PATH:
        if "Compiled" in name_of(node):
            return tuple(names)
        names.append(name_of(node))
        node = next((child for child in edges(node) if child is not None), None)
    return ()


def _down_to_products(
    log_softmax: Node, classes: tuple[int, ...]
) -> Iterator[tuple[Node, tuple[str, ...], tuple[int, ...]]]:
    """The products nearest below a log-softmax, with the names passed and the edges taken.

    A function of the user's own that makes columns of another number is one of them.
    """
    queue: deque[tuple[Node, tuple[str, ...], tuple[int, ...]]] = deque([(log_softmax, (), ())])
    seen = {log_softmax}
    while queue:
        node, names, steps = queue.popleft()
        if node is not log_softmax and (is_a(node, PRODUCTS) or _is_own_product(node, classes)):
            yield node, names[:-1], steps
            continue
        for index, child in enumerate(edges(node)):
            if child is None or child in seen or is_a(child, (ACCUMULATE,)) or len(steps) >= LONGEST_PATH:
                continue
            seen.add(child)
            passed = names if _takes_all(child) else (*names, name_of(child))
            queue.append((child, passed, (*steps, index)))


def _takes_all(node: Node) -> bool:
    """A slice of all that there is: torch before 2.9 makes one of the `:` in `x[:, None]`."""
    child = edges(node)[0] if name_of(node) == "Slice" else None
    return child is not None and shape_of(node) == shape_of(child) != ()


def _describe_feature(found: Classification, product: Node, feature: Node) -> None:
    """Fill in the way from the classifier's input down to the norm that feeds it, or to where it ends."""
    first = next(i for i, child in enumerate(edges(product)) if child is feature)
    names, steps, ended = _along_the_data(feature)
    if not ended or not is_a(ended, NORMS):
        # Two data may be multiplied or added, as a gate and what it lets through: the norm is behind either of them.
        names, steps, ended = _to_the_nearest_norm(feature) or (names, steps, ended)
    if ended and is_a(ended, NORMS):
        found.norm_steps = (first, *steps)
    found.feature_path = names
    found.feature_steps = (first, *steps)
    found.ends_in = names[-1] if ended else ""


def _along_the_data(feature: Node) -> tuple[tuple[str, ...], tuple[int, ...], Node | None]:
    """The names from `feature` down to a norm, a layer, a pool or a leaf; the edges between; the last, if any.

    A scale, learned or not, and a length in a denominator hang on other edges, and are smaller than the data.
    """
    names: list[str] = [name_of(feature)]
    steps: list[int] = []
    node = feature
    while not is_a(node, (*NORMS, *PRODUCTS, *POOLS, ACCUMULATE)):
        children = [(i, c) for i, c in enumerate(edges(node)) if c is not None]
        inner = [(i, c) for i, c in children if not is_a(c, (ACCUMULATE,))] or children
        if not inner:
            return tuple(names), tuple(steps), None
        if len(names) == LONGEST_PATH:
            break
        step, node = next(((i, c) for i, c in inner if shape_of(c) == shape_of(node)), inner[0])
        names.append(name_of(node))
        steps.append(step)
    return tuple(names), tuple(steps), node


def _to_the_nearest_norm(feature: Node) -> tuple[tuple[str, ...], tuple[int, ...], Node] | None:
    """The same down to a norm on any of the ways that no layer and no pool bars; None where there is none."""
    queue: deque[tuple[Node, tuple[str, ...], tuple[int, ...]]] = deque([(feature, (name_of(feature),), ())])
    seen = {feature}
    while queue:
        node, names, steps = queue.popleft()
        if is_a(node, NORMS):
            return names, steps, node
        if is_a(node, (*PRODUCTS, *POOLS, ACCUMULATE)) or len(names) == LONGEST_PATH:
            continue
        for index, child in enumerate(edges(node)):
            if child is not None and child not in seen:
                seen.add(child)
                queue.append((child, (*names, name_of(child)), (*steps, index)))
    return None


def is_fed_images(node: Node) -> bool:
    """A convolution whose input nothing made, and which looks like images; or a compiled model that kept such."""
    if name_of(node) == COMPILED:
        return saved_images(node) is not None
    if not name_of(node).startswith(("Convolution", "MkldnnConvolution")) or edges(node)[0] is not None:
        return False
    value = saved(node, "input")
    return isinstance(value, Tensor) and value.dim() == 4 and value.shape[1] in (1, 3) and value.shape[2] > 1


def images_of(node: Node) -> Tensor | None:
    """What such a convolution, or compiled model, was given, (B, C, H, W); None where it is not kept."""
    if name_of(node) == COMPILED:
        return saved_images(node)
    value = saved(node, "input")
    return value.detach() if isinstance(value, Tensor) else None
