"""Which classification of a loss is judged, and what makes its logits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from reid_smoke.probes.classifier import LARGEST, Product, has_weight_behind, nearest_of_several, read_product
from reid_smoke.probes.cross_entropy import is_cross_entropy, read_batch, tells_identities, tells_one_each, weight_of_ce
from reid_smoke.probes.graph import Classification, batch_of
from reid_smoke.probes.heads import Beside
from reid_smoke.probes.live import Live
from reid_smoke.probes.log_softmax import log_softmax_of
from reid_smoke.probes.nodes import ACCUMULATE, NORMS, POOLS, PRODUCTS, Node, behind, follow, is_a, name_of
from reid_smoke.probes.one_apart import tells_where_it_stands


@dataclass(frozen=True)
class Judged:
    """The classification that is judged, among all of one loss. Each list has an entry for each of them."""

    candidates: Sequence[Classification]
    products: Sequence[Product | None]  # the classifiers
    heads: Sequence[Tensor | None]  # their weights
    names: Sequence[str | None]
    index: int
    same_logits: Sequence[int]  # of those with labels that share its logits, as the two of mixup do: itself among them
    opinions: Sequence[int]  # of those with soft targets on its logits, where it has labels

    @property
    def classification(self) -> Classification:
        return self.candidates[self.index]

    @property
    def product(self) -> Product | None:
        return self.products[self.index]

    @property
    def head(self) -> Tensor | None:
        return self.heads[self.index]

    @property
    def cut_off(self) -> tuple[int, ...]:
        """Which of them, from 1 on, have no weight behind their feature."""
        products = enumerate(self.products, start=1)
        return tuple(at for at, made in products if made is not None and not has_weight_behind(made))

    def beside(self) -> list[Beside]:
        """Those of other heads."""
        return [
            Beside(name, weight, candidate)
            for candidate, weight, name in zip(self.candidates, self.heads, self.names, strict=True)
            if weight is not None and name is not None and weight is not self.head
        ]


def choose_judged(
    root: Node,
    candidates: Sequence[Classification],
    live: Live,
    leaves: Sequence[Tensor],
    *,
    before: Tensor | None,
    wanted: re.Pattern[str] | None,
) -> Judged:
    """candidates: not empty. leaves: parameters that the loss reaches. before: the head that was judged, and stays it.
    wanted: the first whose weight's name matches, whatever was judged before."""
    products = [product_of(follow(root, candidate.path), candidate) for candidate in candidates]
    heads = [
        _head(made, live) if made is not None else _by_its_shape(root, candidate, leaves)
        for candidate, made in zip(candidates, products, strict=True)
    ]
    names = [live.name(weight) if weight is not None else None for weight in heads]
    index = next((i for i, name in enumerate(names) if wanted is not None and name and wanted.search(name)), None)
    if index is None and before is not None:
        index = next((i for i, head in enumerate(heads) if head is before), None)
    if index is None:
        index = _foremost(root, candidates, products, heads)
    alike = _on_the_same_logits(products, index)
    of_labels = _of_labels(root, candidates, alike)
    index = max(of_labels, key=lambda at: _weight(root, candidates[at]))
    opinions = [at for at in alike if at not in of_labels]
    return Judged(candidates, products, heads, names, index, of_labels, opinions)


def candidates_of(root: Node, found: Sequence[Classification]) -> list[Classification]:
    """Those that can be read and are given labels of identities, as far as they show; where there is a cross-entropy,
    no other loss."""
    ends = [(c, follow(root, c.path)) for c in found]
    readable = [
        (c, end)
        for c, end in ends
        if end is not None
        and (batch := read_batch(end)) is not None
        and not tells_where_it_stands(batch, log_softmax_of(end), product_of(end, c))
    ]
    of_ce = [c for c, end in readable if is_cross_entropy(end)]
    return of_ce or [c for c, end in readable if tells_identities(end)]


def _on_the_same_logits(products: Sequence[Product | None], index: int) -> list[int]:
    """Which classifications share this one's logits, as the two of mixup do; itself among them."""
    chosen = products[index]
    return [i for i, made in enumerate(products) if made and chosen and made.node is chosen.node] or [index]


def _of_labels(root: Node, candidates: Sequence[Classification], alike: list[int]) -> list[int]:
    """Those that are given labels, where there are any: soft targets beside them are another model's opinion.

    Labels that were smoothed by hand are soft targets, too, and told from opinions by a look at them, which waits for
    the device: only where there are several, and none with labels as they are.
    """
    batches = {at: batch for at in alike if (batch := batch_of(root, candidates[at])) is not None}
    of_labels = [at for at, batch in batches.items() if not batch.soft]
    if not of_labels and len(batches) > 1:
        of_labels = [at for at, batch in batches.items() if tells_one_each(batch)]
    return of_labels or alike


def _foremost(
    root: Node,
    candidates: Sequence[Classification],
    products: Sequence[Product | None],
    heads: Sequence[Tensor | None],
) -> int:
    """Of several heads the one computed first; but of those that are given the same images, the one of the most classes
    (there are more people than cameras and colours), and none on an early stage, or with a small share of the loss."""
    if len(candidates) == 1:
        return 0
    batches = [batch_of(root, candidate) for candidate in candidates]
    shapes = [tuple(batch.log_probs.shape) if batch is not None else (0, 0) for batch in batches]
    weighed = [at for at, head in enumerate(heads) if head is not None and head.dim() >= 2]  # and not by a mere scale
    alike = [at for at in weighed if shapes[at][0] == shapes[0][0]]
    most = max((shapes[at][1] for at in alike), default=0)
    widest = [at for at in alike if shapes[at][1] == most]
    if len(widest) <= 1:
        return widest[0] if widest else 0
    depths = [_weights_behind(products[at]) for at in widest]
    shares = [_weight(root, candidates[at]) for at in widest]
    for at, depth, share in zip(widest, depths, shares, strict=True):
        early = any(0 < 2 * len(depth) < len(other) and depth < other for other in depths)
        if not early and 2 * share > max(shares):
            return at
    return widest[0]


def _weights_behind(product: Product | None) -> set[int]:
    edge = product.feature_edge if product is not None else None
    return {id(node.variable) for node in behind(edge) if is_a(node, (ACCUMULATE,))}


def _weight(root: Node, classification: Classification) -> float:
    """How much a classification counts in the whole loss; 1 where that is not known without waiting for a device."""
    value = weight_of_ce(root, classification.path)
    return abs(value) if isinstance(value, float) else 1.0


def product_of(consumer: Node | None, classification: Classification) -> Product | None:
    """The classifier behind the node that holds the labels, by the way that a walk found."""
    log_softmax = log_softmax_of(consumer) if consumer is not None else None
    return product_behind(log_softmax, classification) if log_softmax is not None else None


def product_behind(log_softmax: Node, classification: Classification) -> Product | None:
    """The same, of what stands for the log-softmax."""
    if classification.product_path is None:
        return None
    node = follow(log_softmax, classification.product_path)
    product = read_product(node) if node is not None else None
    if product is not None and not LARGEST.isdisjoint(classification.logit_path):
        return replace(product, nearest=nearest_of_several(log_softmax, classification.product_path))
    return product


def _head(product: Product, live: Live) -> Tensor | None:
    if product.weight is not None:
        return product.weight
    if product.weight_value is None:
        return None
    # A frozen head leaves no edge in the graph, but backward keeps its values: find the parameter that they lie in.
    address = product.weight_value.data_ptr()
    found = next((p for _, p, _ in live.parameters if p.data_ptr() == address), None)
    if found is not None:
        return found
    # Normalised or cast on its way, it lies elsewhere: then its shape tells, where it is the only one of it.
    shapes = (tuple(product.weight_value.shape), tuple(product.weight_value.shape)[::-1])
    return _the_only([p for _, p, _ in live.parameters if not p.requires_grad and tuple(p.shape) in shapes])


def _by_its_shape(root: Node, classification: Classification, leaves: Sequence[Tensor]) -> Tensor | None:
    """The head where no product makes the scores: of a model that torch.compile made into one node, or centres to which
    distances are taken. Its shape tells, where it is the only one of it between the loss and the feature."""
    batch, consumer = batch_of(root, classification), follow(root, classification.path)
    if batch is None or consumer is None:
        return None
    if not any("Compiled" in name_of(node) for node in behind(consumer)):
        near = behind(log_softmax_of(consumer), lambda node: is_a(node, PRODUCTS + NORMS + POOLS))
        leaves = [node.variable for node in near if is_a(node, (ACCUMULATE,))]
    classes = batch.log_probs.shape[1]
    return _the_only([leaf for leaf in leaves if leaf.dim() == 2 and leaf.shape[0] == classes])


def _the_only(alike: Sequence[Tensor]) -> Tensor | None:
    return alike[0] if len(alike) == 1 else None
