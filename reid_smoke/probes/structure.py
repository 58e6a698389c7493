"""What is true of a training's structure at one step: graph, parameters, modes. Made from one walk of the graph."""

from __future__ import annotations

import gc
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.optim import Optimizer

from reid_smoke.facts import GraphFacts, ModeFacts, OddLossFacts, ParameterFacts, ParameterRecord
from reid_smoke.probes.classifier import (
    Product,
    divided,
    has_weight_behind,
    nearest_of_several,
    norm_training,
    read_product,
    scale_of_logits,
)
from reid_smoke.probes.cross_entropy import (
    Batch,
    class_weights_of,
    is_cross_entropy,
    is_over_batch,
    log_softmax_of,
    read_batch,
    tells_identities,
    weight_of_ce,
)
from reid_smoke.probes.graph import Classification, walk
from reid_smoke.probes.groups import as_float
from reid_smoke.probes.heads import Beside
from reid_smoke.probes.live import Live, find_batch_norm, find_live, strip_wrappers
from reid_smoke.probes.margin import margin_of
from reid_smoke.probes.nodes import (
    ACCUMULATE,
    NORMS,
    POOLS,
    PRODUCTS,
    Node,
    behind,
    follow,
    is_a,
    name_of,
    saved_storage,
)
from reid_smoke.probes.on_the_way import on_the_way
from reid_smoke.probes.pairs import picks_by_label
from reid_smoke.probes.roles import Roles, read_roles

FAR_MORE = 3  # times as many parameters: what the identities train, beside what a critic trains
MOST_NAMES = 64  # names listed in a fact
MOST = 0.9  # of a dropout's input: beyond what anybody drops on purpose


@dataclass
class Structure:
    """The parts of a training that the step probes need, found by one walk."""

    classification: Classification
    live: Live
    head: Tensor | None  # the head's weight, trainable or not
    roles: Roles
    backbone: Sequence[tuple[str, Tensor]]  # trainable, reached or not
    leaves: set[int]  # ids of the parameters that the loss reaches
    graph_facts: GraphFacts
    mode_facts: ModeFacts
    everything: Sequence[tuple[str, Tensor]] = ()  # of the models that the loss reaches, and if frozen goes through
    margin: bool = False  # the loss's logits are short of a margin, or have too much of it
    sharded: bool = False  # no weight is to be looked at: neither `head` nor `backbone` is given
    image_path: tuple[int, ...] | None = None  # edges from the loss's node to the convolution that is fed the images
    batch_norms: Sequence[tuple[str, _BatchNorm]] = ()  # that the loss goes through; none where weights are divided
    opinions: Sequence[Classification] = ()  # with soft targets, on the same logits as the judged one, which has labels
    beside: Sequence[Beside] = ()  # classifications of other heads; none where weights are divided

    def product_of(self, consumer: Node) -> Product | None:
        """The classifier in the graph of a step's own, behind the node that holds its labels."""
        return product_of(consumer, self.classification)

    def is_of(self, consumer: Node) -> bool:
        """Whether this classification still ends in the head that was found; True where it does not tell."""
        product = self.product_of(consumer)
        return self.head is None or product is None or product.weight is None or product.weight is self.head

    def parameter_facts(self, step: int) -> ParameterFacts:
        return _parameter_facts(self.live, self.leaves, self.head, self.roles, step)


def read_structure(
    root: Node,
    step: int,
    before: Structure | None,
    wanted: re.Pattern[str] | None = None,
    stepped: Collection[Optimizer] = (),
) -> Structure | None:
    """Walk the graph behind `root` (the loss's node). None where it holds no classification.

    before: what an earlier walk found. What was alive then is looked for again only when the graph has leaves that it
        lacks; its head stays the judged one where this loss has it, too, unless this one trains far more.
    wanted: of several heads the first whose weight's name matches, whatever was judged before.
    stepped: optimizers that have taken a step.
    """
    found = walk(root)
    if not found.classifications:
        return None
    candidates = _candidates(root, found.classifications)
    if not candidates:
        return None
    live = before.live if before is not None else None
    if live is None or any(id(leaf) not in live.names for leaf in found.leaves):
        gc.collect()  # models and optimizers that are held by nothing but their own cycles are dead
        live = find_live(found.leaves)
    products = [product_of(follow(root, candidate.path), candidate) for candidate in candidates]
    heads = [
        _head(made, live) if made is not None else _by_its_shape(root, candidate, found.leaves)
        for candidate, made in zip(candidates, products, strict=True)
    ]
    names = [live.name(weight) if weight is not None else None for weight in heads]
    cut_off = [at for at, made in enumerate(products, start=1) if made is not None and not has_weight_behind(made)]
    index = next((i for i, name in enumerate(names) if wanted is not None and name and wanted.search(name)), None)
    if index is None and before is not None and len(found.leaves) < FAR_MORE * len(before.leaves):
        index = next((i for i, head in enumerate(heads) if head is not None and head is before.head), None)
    if index is None:
        index = _foremost(root, candidates, products, heads)
    alike = _on_the_same_logits(products, index)
    same_logits = _of_labels(root, candidates, alike)
    index = max(same_logits, key=lambda at: _weight(root, candidates[at]))
    classification = candidates[index]
    batch = _batch(root, classification)
    num_classes = batch.log_probs.shape[1] if batch is not None else 0
    consumer = follow(root, classification.path)
    product, head = products[index], heads[index]
    scale = _logit_scale(consumer, classification)
    leaves = {id(leaf) for leaf in found.leaves}
    head_root = next((r for _, p, r in live.parameters if p is head), 0)
    # The backbone is what shares a root with something reached: a teacher that no loss reaches is nobody's backbone.
    reached_roots = {r for _, p, r in live.parameters if id(p) in leaves} | {head_root}
    neck_name, neck, feeds, training = _neck(product, classification, live, head, num_classes, reached_roots)
    log_softmax = log_softmax_of(consumer) if consumer is not None else None
    modules = [live.roots[r][1] for r in reached_roots if r < len(live.roots)]
    roles = read_roles(log_softmax, product, head, neck, found.leaves, modules)
    everything = [(n, p) for n, p, r in live.parameters if r in reached_roots]
    backbone = [(n, p) for n, p in everything if p.requires_grad and roles.of(p) == "backbone"]
    sharded = live.is_sharded
    if sharded:
        backbone = []
    margin = 0.0
    if batch is not None and product is not None and scale is not None and not sharded:
        margin = margin_of(batch, product, scale)
    weights = class_weights_of(consumer) if consumer is not None else None
    rest = [(n, p) for n, p in everything if id(p) not in roles.head | roles.neck]
    facts = GraphFacts(
        step=step,
        num_classes=num_classes,
        head=live.name(head) if head is not None and not sharded else None,
        other_heads=tuple(sorted({name for name in names if name} - {names[index]}))[:MOST_NAMES],
        head_trainable=head is not None and head.requires_grad,
        logit_path=classification.logit_path,
        logit_scale=scale,
        feature_path=classification.feature_path,
        fed_by=_fed_by(product, classification),
        neck=neck_name,
        neck_feeds_head=feeds,
        neck_training=training,
        margin=margin > 0,
        right_raised=max(0.0, -margin),
        unit_lengths=_unit_lengths(product, num_classes) if not sharded else None,
        reached=len(leaves),
        trainable=sum(p.requires_grad for _, p in everything),
        backbone_reached=sum(id(p) in leaves for _, p in backbone),
        backbone_trainable=len(backbone),
        sharded=sharded,
        classifications=len(candidates),
        cut_off=tuple(cut_off),
        over_batch=log_softmax is not None and is_over_batch(log_softmax),
        same_logits=len(same_logits),
        weights_zero=int((weights == 0).sum()) if weights is not None else None,
        weights_not_finite=int((~weights.isfinite()).sum()) if weights is not None else 0,
        pairs_by_label=_picks_pairs(root, batch, before),
        kl_div_of=found.divergence or (),
        left_out=_left_out(live, leaves, roles.head | roles.neck) if cut_off else (),
        stepped_in_vain=_stepped_in_vain(live, leaves, stepped) if cut_off else (),
    )
    return Structure(
        classification,
        live,
        head if not sharded else None,
        roles,
        backbone,
        leaves,
        facts,
        _mode_facts(live, reached_roots, head, step),
        [] if sharded else _that_images_pass(found.image_path, consumer, rest),
        margin != 0,
        sharded,
        found.image_path,
        [] if sharded else _batch_norms(live, reached_roots, leaves),
        [candidates[at] for at in alike if at not in same_logits],
        [] if sharded else _beside(candidates, heads, names, head),
    )


def _picks_pairs(root: Node, batch: Batch | None, before: Structure | None) -> bool:
    """Once seen it stays: a batch whose labels are all different tells nothing."""
    if before is not None and before.graph_facts.pairs_by_label:
        return True
    return batch is not None and picks_by_label(root, batch.targets)


def _beside(
    candidates: Sequence[Classification],
    heads: Sequence[Tensor | None],
    names: Sequence[str | None],
    judged: Tensor | None,
) -> list[Beside]:
    return [
        Beside(name, weight, candidate)
        for candidate, weight, name in zip(candidates, heads, names, strict=True)
        if weight is not None and name is not None and weight is not judged
    ]


def _that_images_pass(
    image_path: tuple[int, ...] | None, consumer: Node | None, parameters: Sequence[tuple[str, Tensor]]
) -> Sequence[tuple[str, Tensor]]:
    """Where the graph does not go back to the images, frozen layers leave no trace in it: then all of them."""
    return on_the_way(parameters, consumer) if image_path is not None and consumer is not None else parameters


def read_unclassified(root: Node, step: int) -> tuple[ParameterFacts, OddLossFacts | None]:
    """Which parameters a loss without any classification reaches, and what it picks the labels' values from."""
    found = walk(root)
    gc.collect()
    live = find_live(found.leaves)
    odd = None
    if found.odd is not None:
        odd = OddLossFacts(step=step, fed_by=found.odd)
    elif found.divergence is not None:
        odd = OddLossFacts(step=step, fed_by=found.divergence, loss="kl_div")
    return _parameter_facts(live, {id(leaf) for leaf in found.leaves}, None, Roles(), step), odd


def _left_out(live: Live, leaves: set[int], besides: frozenset[int]) -> tuple[str, ...]:
    """Trainable weights that the loss does not reach, of optimizers that hold some which it does.

    A number that stands alone, such as a temperature that another loss takes, is no part of a tower. An optimizer of
    which the loss reaches nothing is another training's: of a critic, say.
    """
    names = []
    for optimizer in live.optimizers:
        held = [p for group in optimizer.param_groups for p in group["params"]]
        if any(id(p) in leaves for p in held):
            left = (p for p in held if p.requires_grad and p.dim() >= 2 and id(p) not in leaves | besides)
            names += [live.name(p) for p in left]
    return tuple(names)


def _stepped_in_vain(live: Live, leaves: set[int], stepped: Collection[Optimizer]) -> tuple[str, ...]:
    """Trainable weights of optimizers that step, and of which the loss reaches nothing.

    A single one is no model: centres, say. A learning rate of 0 is intent.
    """
    names = []
    for optimizer in live.optimizers:
        groups = optimizer.param_groups
        if optimizer not in stepped or any(id(p) in leaves for group in groups for p in group["params"]):
            continue
        moved = [p for group in groups if as_float(group.get("lr")) != 0 for p in group["params"]]
        idle = [live.name(p) for p in moved if p.requires_grad and p.dim() >= 2 and id(p) in live.names]
        names += idle if len(idle) > 1 else []
    return tuple(names)


def _candidates(root: Node, found: Sequence[Classification]) -> list[Classification]:
    """Those that can be read; where there is a cross-entropy, no other loss."""
    ends = [(c, follow(root, c.path)) for c in found]
    readable = [(c, end) for c, end in ends if end is not None and read_batch(end) is not None]
    of_ce = [c for c, end in readable if is_cross_entropy(end)]
    return of_ce or [c for c, end in readable if tells_identities(end)]


def _batch(root: Node, classification: Classification) -> Batch | None:
    consumer = follow(root, classification.path)
    return read_batch(consumer) if consumer is not None else None


def _on_the_same_logits(products: list[Product | None], index: int) -> list[int]:
    """Which classifications share this one's logits, as the two of mixup do; itself among them."""
    chosen = products[index]
    return [i for i, made in enumerate(products) if made and chosen and made.node is chosen.node] or [index]


def _of_labels(root: Node, candidates: Sequence[Classification], alike: list[int]) -> list[int]:
    """Those that are given labels, where there are any: soft targets beside them are another model's opinion."""
    return [at for at in alike if (batch := _batch(root, candidates[at])) is not None and not batch.soft] or alike


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
    batches = [_batch(root, candidate) for candidate in candidates]
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
    if consumer is None or classification.product_path is None:
        return None
    log_softmax = log_softmax_of(consumer)
    node = follow(log_softmax, classification.product_path)
    product = read_product(node) if node is not None else None
    if product is None:
        return None
    return replace(product, nearest=nearest_of_several(log_softmax, classification.product_path))


def _logit_scale(consumer: Node | None, classification: Classification) -> float | None:
    log_softmax = log_softmax_of(consumer) if consumer is not None else None
    if log_softmax is None or classification.product_path is None:
        return None
    return scale_of_logits(log_softmax, classification.product_path)


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
    batch, consumer = _batch(root, classification), follow(root, classification.path)
    if batch is None or consumer is None:
        return None
    if not any("Compiled" in name_of(node) for node in behind(consumer)):
        near = behind(log_softmax_of(consumer), lambda node: is_a(node, PRODUCTS + NORMS + POOLS))
        leaves = [node.variable for node in near if is_a(node, (ACCUMULATE,))]
    classes = batch.log_probs.shape[1]
    return _the_only([leaf for leaf in leaves if leaf.dim() == 2 and leaf.shape[0] == classes])


def _the_only(alike: Sequence[Tensor]) -> Tensor | None:
    return alike[0] if len(alike) == 1 else None


def _unit_lengths(product: Product | None, num_classes: int) -> bool | None:
    """Whether feature and class weights come normalised; None where one of them is not kept. Waits for the device."""
    if product is None:
        return None
    # Backward keeps neither side of a product whose other side is frozen; but who divided by a length is kept.
    side, other = product.feature, product.weight_value
    side = divided(product.feature_edge) if side is None else side
    if side is None or other is None:
        return None
    feature, weight = side.detach().float(), other.detach().float()
    if feature.dim() != 2 or weight.dim() != 2:
        return None
    weight = weight if weight.shape[0] == num_classes else weight.T  # (C, D)
    lengths = torch.cat([feature.norm(dim=1), weight.norm(dim=1)])
    return bool(((lengths - 1).abs() < 0.02).all())  # half precision is as coarse


def _fed_by(product: Product | None, classification: Classification) -> str:
    if product is None:
        return "unknown"
    if product.feature_edge is None:
        # No edge: the feature asks for no gradient, that is detached, or made under no_grad, or its makers are frozen.
        return "detached"
    end = classification.ends_in
    return "batch_norm" if "BatchNorm" in end else "layer_norm" if "LayerNorm" in end else "other"


def _neck(
    product: Product | None,
    classification: Classification,
    live: Live,
    head: Tensor | None,
    num_classes: int,
    roots: set[int],
) -> tuple[str | None, nn.Module | None, bool | None, bool | None]:
    """The BNNeck: its name, its module, whether it feeds the head, whether it normalises by the batch."""
    node = None
    if product is not None and classification.norm_steps is not None and "BatchNorm" in classification.ends_in:
        node = follow(product.node, classification.norm_steps)
    address = saved_storage(node, "_saved_running_mean") if node is not None else None
    width = None
    if head is not None and head.dim() >= 2:
        width = head.shape[1] if head.shape[0] == num_classes else head.shape[0]
    name, module = find_batch_norm(live, address, None, roots)
    if module is not None and not isinstance(module, nn.BatchNorm1d) and _activated(classification):
        module = None  # BatchNorm2d, ReLU, flatten: the end of a backbone without pooling, not a neck
    if module is not None:
        return name, module, True, norm_training(node) if node is not None else None
    name, module = find_batch_norm(live, None, width, roots)
    # Where the feature has no history (frozen, detached), nothing tells whether it came through the neck.
    told = False if product is not None and product.feature_edge is not None else None
    return (name, module, told, module.training) if module is not None else (None, None, None, None)


def _activated(classification: Classification) -> bool:
    """An activation stands between the norm and the classifier."""
    return any(
        word in name for name in classification.feature_path for word in ("elu", "Elu", "Sigmoid", "Swish", "Tanh")
    )


def _batch_norms(live: Live, roots: set[int], leaves: set[int]) -> list[tuple[str, _BatchNorm]]:
    """Those beside whose layers the loss reaches a parameter: of a student, and not of the teacher it is held with."""
    return [
        (prefix + strip_wrappers(f"{name}.{child}" if name else child), norm)
        for prefix, root in (live.roots[index] for index in sorted(roots) if index < len(live.roots))
        for name, holder in root.named_modules()
        for child, norm in holder.named_children()
        if isinstance(norm, _BatchNorm) and any(id(p) in leaves for p in holder.parameters())
    ]


def _mode_facts(live: Live, roots: set[int], head: Tensor | None, step: int) -> ModeFacts:
    modules = norms = synced = 0
    in_eval: list[str] = []
    norms_in_eval = 0
    drop_everything: list[str] = []
    drop_most: list[tuple[str, float]] = []
    for index in sorted(roots):
        prefix, root = live.roots[index] if index < len(live.roots) else ("", None)
        for name, module in root.named_modules() if root is not None else ():
            modules += 1
            is_norm = isinstance(module, _BatchNorm)
            norms += is_norm
            synced += isinstance(module, nn.SyncBatchNorm)
            if not module.training and (is_norm or isinstance(module, _DropoutNd)):
                norms_in_eval += is_norm
                in_eval.append(prefix + strip_wrappers(name))
            if module.training and isinstance(module, _DropoutNd):
                if module.p >= 1:
                    drop_everything.append(prefix + strip_wrappers(name))
                elif module.p >= MOST:
                    drop_most.append((prefix + strip_wrappers(name), module.p))
    model = live.roots[0][1] if live.roots else None  # the root that the loss reaches most
    return ModeFacts(
        step=step,
        modules=modules,
        in_eval=tuple(in_eval[:MOST_NAMES]),
        batch_norms=norms,
        batch_norms_synced=synced,
        batch_norms_in_eval=norms_in_eval,
        root_in_eval=None if model is None else not _within_holders(model, head).training,
        drop_everything=tuple(drop_everything[:MOST_NAMES]),
        drop_most=tuple(drop_most[:MOST_NAMES]),
    )


def _within_holders(model: nn.Module, head: Tensor | None) -> nn.Module:
    """The model that a trainer's or a parallel module merely holds: the one part that has weights, the head's too."""
    while True:
        parts = [child for child in model.children() if any(True for _ in child.parameters())]
        if len(parts) != 1 or not any(p is head for p in parts[0].parameters()):
            return model
        if any(True for _ in model.parameters(recurse=False)):
            return model
        model = parts[0]


def _parameter_facts(live: Live, leaves: set[int], head: Tensor | None, roles: Roles, step: int) -> ParameterFacts:
    groups: dict[int, tuple[int, dict[str, object]]] = {}
    index = 0
    for optimizer in live.optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                groups.setdefault(id(parameter), (index, group))
            index += 1
    held = set(groups)
    in_modules = set(live.names)

    def record(name: str, parameter: Tensor) -> ParameterRecord:
        number, group = groups.get(id(parameter), (None, {}))
        return ParameterRecord(
            name=name,
            shape=tuple(parameter.shape),
            role=roles.of(parameter),
            requires_grad=parameter.requires_grad,
            group=number,
            lr=as_float(group.get("lr")),
            lr_initial=as_float(group.get("initial_lr")),
            weight_decay=as_float(group.get("weight_decay")),
            reached=id(parameter) in leaves,
            dtype=str(parameter.dtype).removeprefix("torch."),
            eps=as_float(group.get("eps")),
            maximize=bool(group.get("maximize")),
        )

    records = [record(name, parameter) for name, parameter, _ in live.parameters]
    if head is not None and id(head) not in in_modules:
        records.append(record(live.name(head), head))
    orphans = [
        parameter
        for optimizer in live.optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
        if id(parameter) not in in_modules and id(parameter) not in leaves
    ]
    return ParameterFacts(
        step=step,
        optimizer=", ".join(type(o).__name__ for o in live.optimizers),
        parameters=tuple(records),
        orphans=len(orphans),
        orphan_shapes=tuple(tuple(p.shape) for p in orphans[:4]),
        optimizer_holds_head=None if not live.optimizers or head is None else id(head) in held,
    )
