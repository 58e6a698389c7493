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
from typing import Any, TypeAlias

import torch
from torch import Tensor

# torch's nodes are C++ objects whose attributes depend on the operation, so there is no type for them.
Node: TypeAlias = Any

ACCUMULATE = "AccumulateGrad"
PRODUCTS = ("MmBackward", "AddmmBackward", "BmmBackward", "BaddbmmBackward", "ConvolutionBackward", "LinearBackward")
POOLS = ("MeanBackward", "AdaptiveAvgPool", "AvgPool", "MaxPool", "AdaptiveMaxPool")
NORMS = ("BatchNorm", "LayerNorm", "GroupNorm")
SUMS = (
    "Add", "Sub", "Sum", "Mean", "View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "ToCopy", "Stack", "Cat",
    "Select", "Expand", "Alias", "Clone", "MaskedSelect", "Index",
)  # fmt: skip  # operations that pass a gradient on as it is, up to a positive factor
PICKS = ("Gather", "Index")  # of each row the value at its label
SHAPES = ("ToCopy", "View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "Expand", "Alias", "Clone")
LONGEST_PATH = 24  # nodes; beyond this the classifier's input is not "what feeds it" any more


def name_of(node: Node) -> str:
    """The operation's name without its overload number: `Mm`, `NativeBatchNorm`, `AccumulateGrad`."""
    full: str = node.name().rsplit("::", 1)[-1]
    return full.split("Backward")[0] if "Backward" in full else full


def _is(node: Node, kinds: tuple[str, ...]) -> bool:
    name: str = node.name()
    return any(kind in name for kind in kinds)


def edges(node: Node) -> list[Node | None]:
    return [edge[0] for edge in node.next_functions]


@dataclass
class Batch:
    """What one classification loss was given. log_probs (B, C), labels (B,) int64, counted (B,) bool: not ignored."""

    log_probs: Tensor
    labels: Tensor
    counted: Tensor
    soft: bool = False  # the labels are the largest of soft targets
    mixed: Tensor | None = None  # (B,) bool, of soft targets: more than one label, as of mixup; smoothing has one


@dataclass
class Product:
    """The classifier: the product of a feature and a weight that makes the logits."""

    node: Node
    feature_edge: Node | None
    weight: Tensor | None  # the leaf parameter; None where the weight asks for no gradient or is no leaf
    weight_value: Tensor | None  # as saved for backward, transposed or not; to find a frozen head by its storage
    feature: Tensor | None  # (B, D); None where backward has no need of it
    bias: Tensor | None


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
    ends_in: str = ""  # the last node of feature_path, "" where the graph ends


@dataclass
class Walk:
    """A whole graph: its leaves and its classifications, the one computed first in front."""

    leaves: list[Tensor] = field(default_factory=list)
    classifications: list[Classification] = field(default_factory=list)
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
        if _is(node, (ACCUMULATE,)):
            found.leaves.append(node.variable)
            continue
        log_softmax = _labelled_log_softmax(node)
        if log_softmax is not None:
            found.classifications.append(_classification(node, log_softmax, path))
        if found.image_path is None and is_fed_images(node):
            found.image_path = path
        for index, child in enumerate(edges(node)):
            if child is not None and child not in seen:
                seen.add(child)
                queue.append((child, (*path, index)))
    found.classifications.sort(key=lambda c: (c.product_path is None, c.order))
    return found


def follow(node: Node | None, path: tuple[int, ...]) -> Node | None:
    """The node at the end of a remembered path; None where the graph has another shape now."""
    for index in path:
        if node is None:
            return None
        children = node.next_functions
        if index >= len(children):
            return None
        node = children[index][0]
    return node


# --- the classification ---------------------------------------------------------------------------------------------


def _labelled_log_softmax(node: Node) -> Node | None:
    """The log-softmax whose labels `node` holds; None where it is no such node."""
    name = name_of(node)
    if name.startswith("NllLoss") or name in PICKS:
        return _below(node, 0) or _shifted(node)
    if name in ("Sub", "Add", "Log"):
        by_hand = _by_hand(node)
        return by_hand[0] if by_hand is not None else None
    if name == "Mul":  # targets * log_probs, written by hand or by F.cross_entropy with probabilities
        for index, saved in ((0, "_saved_other"), (1, "_saved_self")):
            below = _below(node, index)
            targets = getattr(node, saved, None)
            if below is not None and isinstance(targets, Tensor) and targets.shape == log_probs_of(below).shape:
                return below
    return None


def _by_hand(node: Node) -> tuple[Node, Node, bool] | None:
    """CE without a log-softmax: `logsumexp(x) - x[label]`, or the log of a softmax's picked probability.

    The node that stands for the log-softmax, the one that picked, and whether `node` gives CE itself and not minus CE.
    """
    if name_of(node) == "Log":
        pick, _ = _through(follow(node, (0,)), (*SHAPES, "Clamp", "ClampMin", "Add"))
        softmax, _ = _through(follow(pick, (0,)), SHAPES) if pick is not None and name_of(pick) in PICKS else (None, 1)
        found = softmax is not None and pick is not None and name_of(softmax) == "Softmax"
        return (softmax, pick, False) if found else None
    sides = [_through(child, (*SHAPES, "Neg", "Mean", "Sum")) for child in edges(node)[:2]]
    if len(sides) < 2:
        return None
    if name_of(node) == "Sub":
        sides[1] = (sides[1][0], -sides[1][1])
    for (whole, sign), (pick, other) in (sides, sides[::-1]):
        if whole is None or pick is None or name_of(pick) not in PICKS or sign == other or not _sums_up(whole):
            continue
        # The same logits on either side: a cast to fp32 may stand on one of them only.
        if _through(_summed(whole), SHAPES)[0] is _through(follow(pick, (0,)), SHAPES)[0]:
            return whole, pick, sign > 0
    return None


def _shifted(pick: Node) -> Node | None:
    """The logsumexp of a log-softmax written by hand, `x - logsumexp(x)`, from which `pick` picks."""
    minus, _ = _through(follow(pick, (0,)), SHAPES)
    if minus is None or name_of(minus) != "Sub" or len(edges(minus)) < 2:
        return None
    logits, whole = (_through(child, SHAPES)[0] for child in edges(minus)[:2])
    same = whole is not None and _sums_up(whole) and _through(_summed(whole), SHAPES)[0] is logits
    return whole if same and logits is not None else None


def _through(node: Node | None, names: tuple[str, ...]) -> tuple[Node | None, int]:
    """The first node below with another name than these, and the sign that the minuses on the way make."""
    sign = 1
    while node is not None and name_of(node) in names:
        sign = -sign if name_of(node) == "Neg" else sign
        node = follow(node, (0,))
    return node, sign


def _sums_up(node: Node) -> bool:
    """A logsumexp, in one piece or as `x.exp().sum(1).log()`."""
    if name_of(node) == "Logsumexp":
        return True
    return name_of(node) == "Log" and [
        name_of(n) if (n := follow(node, w)) is not None else "" for w in ((0,), (0, 0))
    ] == [
        "Sum",
        "Exp",
    ]


def _summed(node: Node) -> Node | None:
    return follow(node, (0,) if name_of(node) == "Logsumexp" else (0, 0, 0))


def _below(node: Node, index: int) -> Node | None:
    """The log-softmax (or log of a softmax) on that edge, through casts and views; None for anything else."""
    child = follow(node, (index,))
    while child is not None and name_of(child) in ("ToCopy", "View", "UnsafeView", "Neg"):
        child = follow(child, (0,))
    if child is None:
        return None
    name = name_of(child)
    if name == "LogSoftmax":
        return child
    if name == "Log":
        below = follow(child, (0,))
        if below is not None and name_of(below) in ("Clamp", "ClampMin", "Add"):
            below = follow(below, (0,))
        if below is not None and name_of(below) == "Softmax":
            return below
    return None


def log_probs_of(node: Node) -> Tensor:
    """(B, C), of what stands for the log-softmax."""
    if name_of(node) == "Logsumexp":
        return _less(node._saved_self, node._saved_result)
    if name_of(node) == "Log":
        return _less(node.next_functions[0][0].next_functions[0][0]._saved_result.log(), node._saved_self.log())
    result: Tensor = node._saved_result
    return result if name_of(node) == "LogSoftmax" else result.clamp_min(1e-30).log()


def _less(logits: Tensor, whole: Tensor) -> Tensor:
    """(B, C) less (B,) or (B, 1); what has another shape stays as it is, and is nobody's log-softmax."""
    fits = logits.dim() == 2 and whole.numel() == logits.shape[0]
    return logits.detach() - whole.detach().reshape(-1, 1) if fits else logits.detach()[None]


def read_batch(consumer: Node) -> Batch | None:
    """Log-probabilities and labels as the loss had them; None where they are no (B, C) and (B,).

    Nothing is fetched from the device.
    """
    log_softmax = _labelled_log_softmax(consumer)
    if log_softmax is None:
        return None
    log_probs = log_probs_of(log_softmax).detach()
    if log_probs.dim() != 2:
        return None
    rows, classes = log_probs.shape
    by_hand = _by_hand(consumer) if name_of(consumer) in ("Sub", "Add", "Log") else None
    consumer = consumer if by_hand is None else by_hand[1]
    name, ignore, mixed = name_of(consumer), -100, None
    if name.startswith("NllLoss"):
        labels, ignore = consumer._saved_target, int(consumer._saved_ignore_index)
        if ignore >= 2**63:  # torch < 2.9 shows the int64 as unsigned
            ignore -= 2**64
    elif name == "Gather":
        labels = consumer._saved_index
        if labels.numel() != rows:
            return None
        labels = labels.reshape(rows)
    elif name == "Index":
        indices = [i for i in consumer._saved_indices if isinstance(i, Tensor)]
        if not indices or indices[-1].numel() != rows:
            return None
        labels = indices[-1].reshape(rows)
    else:
        targets = consumer._saved_other if _below(consumer, 0) is log_softmax else consumer._saved_self
        targets = targets.detach().float()
        # Written by hand, the minus often sits on the targets; the sign of their sum tells, without a fetch.
        targets = targets * targets.sum().sign()
        labels = targets.argmax(1)
        first, second = targets.topk(min(2, classes), 1).values.T[[0, -1]]
        mixed = second - targets.amin(1) > 1e-3 * first
    if labels.shape != (rows,):
        return None
    labels = labels.detach().long().to(log_probs.device)
    counted = labels != ignore
    return Batch(
        log_probs, labels.clamp(0, classes - 1) if name != "Mul" else labels, counted, mixed is not None, mixed
    )


def _classification(consumer: Node, log_softmax: Node, path: tuple[int, ...]) -> Classification:
    found = Classification(path, consumer.name(), int(log_softmax._sequence_nr()))
    for node, names, steps in _down_to_products(log_softmax):
        found.logit_path, found.product_path = names, steps
        # The forward's order, not the loss's: TransReID sums up the parts' losses before it comes to the global one.
        found.order = int(node._sequence_nr())
        product = read_product(node)
        if product is not None and product.feature_edge is not None:
            _describe_feature(found, node, product.feature_edge)
        break
    return found


def _down_to_products(log_softmax: Node) -> Iterator[tuple[Node, tuple[str, ...], tuple[int, ...]]]:
    """The products nearest below a log-softmax, with the names passed and the edges taken."""
    queue: deque[tuple[Node, tuple[str, ...], tuple[int, ...]]] = deque([(log_softmax, (), ())])
    seen = {log_softmax}
    while queue:
        node, names, steps = queue.popleft()
        if node is not log_softmax and _is(node, PRODUCTS):
            yield node, names[:-1], steps
            continue
        for index, child in enumerate(edges(node)):
            if child is None or child in seen or _is(child, (ACCUMULATE,)) or len(steps) >= LONGEST_PATH:
                continue
            seen.add(child)
            queue.append((child, (*names, name_of(child)), (*steps, index)))


def leaves_on_the_way(log_softmax: Node, product: Product) -> list[Tensor]:
    """The parameters between the log-softmax and the classifier's feature: its weight, its bias, a learned scale."""
    leaves: list[Tensor] = []
    queue, seen = deque([log_softmax]), {log_softmax}
    while queue:
        node = queue.popleft()
        if _is(node, (ACCUMULATE,)):
            leaves.append(node.variable)
            continue
        if node is not product.node and node is not log_softmax and _is(node, PRODUCTS + NORMS + POOLS):
            continue  # another classifier's logits are added to these
        for child in edges(node):
            if child is not None and child not in seen and child is not product.feature_edge:
                seen.add(child)
                queue.append(child)
    return leaves


# --- the classifier and what feeds it -------------------------------------------------------------------------------


def log_softmax_of(consumer: Node) -> Node | None:
    return _labelled_log_softmax(consumer)


def read_product(node: Node) -> Product | None:
    """The two sides of a classifier's product, told apart: the weight's side ends in one leaf and nothing else."""
    name, children = name_of(node), edges(node)
    if name == "Mm":
        sides = ((children[0], node._saved_self), (children[1], node._saved_mat2))
        bias_edge = None
    elif name == "Addmm":
        sides = ((children[1], node._saved_mat1), (children[2], node._saved_mat2))
        bias_edge = children[0]
    elif name in ("Convolution", "MkldnnConvolution"):
        sides = ((children[0], node._saved_input), (children[1], node._saved_weight))
        bias_edge = children[2] if len(children) > 2 else None
    elif name == "Bmm":
        sides = ((children[0], node._saved_self), (children[1], node._saved_mat2))
        bias_edge = None
    else:
        return None
    (left, left_value), (right, right_value) = sides
    bias = _only_leaf(bias_edge) if bias_edge is not None else None
    right_leaf, left_leaf = _only_leaf(right), _only_leaf(left)
    # F.linear puts the weight on the right; weight @ feature.T, seen in hand-written margins, on the left.
    if right_leaf is None and left_leaf is not None and right is not None:
        return Product(node, right, left_leaf, left_value, right_value, bias)
    return Product(node, left, right_leaf, right_value, left_value, bias)


def _only_leaf(node: Node | None) -> Tensor | None:
    """The one leaf behind `node`, through views, casts and normalising; None where there is more behind it."""
    leaf: Tensor | None = None
    queue, seen = deque([node]), set()
    while queue:
        node = queue.popleft()
        if node is None or node in seen:
            continue
        seen.add(node)
        if len(seen) > LONGEST_PATH or _is(node, PRODUCTS + NORMS + POOLS):
            return None
        if _is(node, (ACCUMULATE,)):
            if leaf is not None and leaf is not node.variable:
                return None
            leaf = node.variable
            continue
        queue.extend(edges(node))
    return leaf


def has_weight_behind(product: Product) -> bool:
    """Whether a weight that a gradient reaches is behind the classifier's feature; a norm's scale alone is none."""
    queue: deque[Node | None] = deque([product.feature_edge])
    seen: set[Node] = set()
    while queue:
        node = queue.popleft()
        if node is None or node in seen:
            continue
        seen.add(node)
        if _is(node, (ACCUMULATE,)):
            if node.variable.dim() >= 2:
                return True
            continue
        queue.extend(edges(node))
    return False


def _describe_feature(found: Classification, product: Node, node: Node | None) -> None:
    """Fill in the way from the classifier's input down to the norm that feeds it, or to where it ends."""
    names: list[str] = []
    steps: list[int] = [next(i for i, child in enumerate(edges(product)) if child is node)]
    while node is not None and len(names) < LONGEST_PATH:
        names.append(name_of(node))
        if _is(node, NORMS):
            found.norm_steps = tuple(steps)
            break
        if _is(node, (*PRODUCTS, *POOLS, ACCUMULATE)):
            break
        # Follow the data: a learned scale or a norm in a denominator hangs on the other edges.
        children = [(i, c) for i, c in enumerate(edges(node)) if c is not None]
        inner = [(i, c) for i, c in children if not _is(c, (ACCUMULATE,))] or children
        if not inner:
            node = None
            break
        steps.append(inner[0][0])
        node = inner[0][1]
    found.feature_path = tuple(names)
    found.ends_in = names[-1] if names and node is not None else ""


def is_fed_images(node: Node) -> bool:
    """A convolution whose input nothing made, and which looks like images."""
    if not name_of(node).startswith(("Convolution", "MkldnnConvolution")) or edges(node)[0] is not None:
        return False
    value = getattr(node, "_saved_input", None)
    return isinstance(value, Tensor) and value.dim() == 4 and value.shape[1] in (1, 3) and value.shape[2] > 1


def images_of(node: Node) -> Tensor | None:
    """What such a convolution was given, (B, C, H, W); None where it is not kept."""
    value = getattr(node, "_saved_input", None)
    return value.detach() if isinstance(value, Tensor) else None


def weight_of_ce(root: Node, known: Classification) -> Tensor | float | None:
    """What the loss multiplies plain CE with: the product of the factors between the two, 1 for CE itself.

    Sums and means count as 1, so only the sign, and whether it is 0, can be relied on. A factor that lies on a device
    stays there. None where something else than factors and sums lies between (a power, an exponential).
    """
    weight: Tensor | float = 1.0
    node = root
    for index in known.path:
        name = name_of(node)
        if name == "Mul" or (name == "Div" and index == 0):
            other = node._saved_self if index else node._saved_other
            if isinstance(other, Tensor):
                other = other.detach().float().mean()  # a weight for each sample counts with its mean
                if other.device.type == "cpu":  # a plain number is kept as such a tensor; on the way to a GPU it waits
                    other = other.item()
            elif not isinstance(other, (int, float)):
                return None
            weight = weight * other if name == "Mul" else weight / other
        elif name == "Neg" or (name == "Sub" and index == 1) or name == "Rsub":
            weight = -weight
        elif name not in SUMS:
            return None
        node = node.next_functions[index][0]
        if node is None:
            return None
    return weight if name_of(node).startswith("NllLoss") else _sign_of_picked(node, weight)


def scale_of_logits(log_softmax: Node, path: tuple[int, ...]) -> float:
    """The product of the plain numbers that the logits are multiplied with between the classifier and the loss.

    What lies on a device (a learned temperature) is left out: reading it would wait for the device.
    """
    scale = 1.0
    node: Node | None = log_softmax
    for index in path:
        if node is None:
            break
        name = name_of(node)
        if name == "Mul" or (name == "Div" and index == 0):
            factor = node._saved_self if index else node._saved_other
            if isinstance(factor, Tensor):
                factor = factor.item() if factor.numel() == 1 and factor.device.type == "cpu" else 1.0
            scale = scale * factor if name == "Mul" else scale / factor
        node = node.next_functions[index][0]
    return float(scale)


def _sign_of_picked(consumer: Node, weight: Tensor | float) -> Tensor | float | None:
    """The weight where CE was written by hand: log-probabilities are picked or multiplied, and a minus is outside."""
    by_hand = _by_hand(consumer) if name_of(consumer) in ("Sub", "Add", "Log") else None
    if by_hand is not None:
        return weight if by_hand[2] else -weight
    index = 0 if _below(consumer, 0) is not None else 1
    node, log_softmax = follow(consumer, (index,)), _labelled_log_softmax(consumer)
    while node is not None and node is not log_softmax:
        if name_of(node) == "Neg":
            weight = -weight
        node = follow(node, (0,))
    if name_of(consumer) == "Mul":
        targets = consumer._saved_self if index else consumer._saved_other
        weight = weight * targets.detach().float().sum().sign()
    return -weight


def norm_input(node: Node) -> Tensor | None:
    """What a batch norm's node normalised, (B, D, ...); None where it is not kept."""
    value = getattr(node, "_saved_input", None)
    return value.detach() if isinstance(value, Tensor) else None


def norm_training(node: Node) -> bool | None:
    """Whether a batch norm's node used the batch's own statistics; None where it does not tell."""
    value = getattr(node, "_saved_training", None)
    return None if value is None else bool(value)


def saved_storage(node: Node, attribute: str) -> int | None:
    """Address of a saved tensor's storage, to find the module that it belongs to."""
    value = getattr(node, attribute, None)
    return value.data_ptr() if isinstance(value, Tensor) else None


def root_of(tensors: object) -> Node | None:
    """The graph's root for what backward was called on: a tensor or a sequence of them; the first with a graph."""
    candidates = (
        [tensors] if isinstance(tensors, Tensor) else list(tensors) if isinstance(tensors, (list, tuple)) else []
    )
    return next((t.grad_fn for t in candidates if isinstance(t, Tensor) and t.grad_fn is not None), None)


def loss_in_words(root: Node) -> str:
    """The last few operations behind a loss, the last in front: `Mean < Pow < Sub`."""
    names: list[str] = []
    node: Node | None = root
    while node is not None and len(names) < 4 and not _is(node, (ACCUMULATE,)):
        names.append(name_of(node))
        node = next((child for child in edges(node) if child is not None), None)
    return " < ".join(names)


def scalar_of(tensors: object) -> Tensor | None:
    """The loss itself as a detached 0-d tensor, where there is just one."""
    if isinstance(tensors, (list, tuple)) and len(tensors) == 1:
        tensors = tensors[0]
    if isinstance(tensors, Tensor) and tensors.numel() == 1:
        return tensors.detach().reshape(()).to(torch.float32)
    return None
