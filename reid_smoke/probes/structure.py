"""What is true of a training's structure at one step: graph, parameters, modes. Made from one walk of the graph."""

from __future__ import annotations

import gc
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from reid_smoke.facts import GraphFacts, ModeFacts, OddLossFacts, ParameterFacts
from reid_smoke.probes.batch import Batch
from reid_smoke.probes.classifier import (
    Product,
    Shortcut,
    asks_at_leaf,
    divided,
    lengths_of_logits,
    scale_of_logits,
    shortcut_to,
    steps_to_lengths,
)
from reid_smoke.probes.cross_entropy import class_weights_of, tells_opinions
from reid_smoke.probes.graph import Classification, batch_of, walk
from reid_smoke.probes.groups import held_by
from reid_smoke.probes.heads import Beside
from reid_smoke.probes.judged import candidates_of, choose_judged
from reid_smoke.probes.live import Live, find_live
from reid_smoke.probes.log_softmax import is_over_batch, log_softmax_of
from reid_smoke.probes.margin import margin_of
from reid_smoke.probes.modes import MOST_NAMES, batch_norms_of, mode_facts
from reid_smoke.probes.neck import find_neck
from reid_smoke.probes.nodes import Node, follow
from reid_smoke.probes.on_the_way import on_the_way
from reid_smoke.probes.pairs import picks_by_label
from reid_smoke.probes.parameters import left_out, parameter_facts, stepped_in_vain
from reid_smoke.probes.raw_log import takes_log_of_outputs
from reid_smoke.probes.roles import Roles, read_roles

FAR_MORE = 3  # times as many parameters: what the identities train, beside what a critic trains


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
    to_lengths: tuple[int, ...] = ()  # where on the way to the classifier its logits are multiplied, see classifier.py
    sharded: bool = False  # no weight is to be looked at: neither `head` nor `backbone` is given
    image_path: tuple[int, ...] | None = None  # edges from the loss's node to the convolution that is fed the images
    batch_norms: Sequence[tuple[str, _BatchNorm]] = ()  # that the loss goes through; none where weights are divided
    opinions: Sequence[Classification] = ()  # with soft targets, on the same logits as the judged one, which has labels
    beside: Sequence[Beside] = ()  # classifications of other heads; none where weights are divided
    shortcut: Shortcut | None = None  # to the classifier, where its weight is the head

    def parameter_facts(self, step: int) -> ParameterFacts:
        return parameter_facts(self.live, self.leaves, self.head, self.roles, step)

    def modes(self) -> tuple[bool, ...]:
        """Which weights ask for a gradient, and which batch norms train, as it is now."""
        weights = [parameter.requires_grad for _, parameter in self.everything]
        return (*weights, *(norm.training for _, norm in self.batch_norms))


def read_structure(
    root: Node,
    step: int,
    before: Structure | None,
    wanted: re.Pattern[str] | None = None,
    stepped: Collection[Optimizer] = (),
) -> Structure | None:
    """Walk the graph behind `root` (the loss's node). None where it holds no classification.

    before: what an earlier walk found. What was alive then is looked for again only when the graph has leaves that it
        lacks, or another optimizer has stepped; its head stays the judged one where this loss has it, too, unless this
        one trains far more.
    wanted: of several heads the first whose weight's name matches, whatever was judged before.
    stepped: optimizers that have taken a step.
    """
    found = walk(root)
    candidates = candidates_of(root, found.classifications)
    if not candidates:
        return None
    live = before.live if before is not None else None
    if live is None or any(id(leaf) not in live.names for leaf in found.leaves) or live.lacks(stepped):
        gc.collect()  # models and optimizers that are held by nothing but their own cycles are dead
        live = find_live(found.leaves)
    stays = before.head if before is not None and len(found.leaves) < FAR_MORE * len(before.leaves) else None
    judged = choose_judged(root, candidates, live, found.leaves, before=stays, wanted=wanted)
    classification, product, head = judged.classification, judged.product, judged.head
    batch = batch_of(root, classification)
    num_classes = batch.log_probs.shape[1] if batch is not None else 0
    consumer = follow(root, classification.path)
    log_softmax = log_softmax_of(consumer) if consumer is not None else None
    scale = _logit_scale(log_softmax, classification)
    way = classification.product_path or ()
    to_lengths = steps_to_lengths(log_softmax, way) if log_softmax is not None else ()

    leaves = {id(leaf) for leaf in found.leaves}
    head_root = next((r for _, p, r in live.parameters if p is head), 0)
    # The backbone is what shares a root with something reached: a teacher that no loss reaches is nobody's backbone.
    roots = {r for _, p, r in live.parameters if id(p) in leaves} | {head_root}
    neck = find_neck(product, classification, live, head, num_classes, roots)
    modules = [live.roots[r][1] for r in roots if r < len(live.roots)]
    roles = read_roles(log_softmax, product, head, neck.module, found.leaves, modules)
    everything = [(n, p) for n, p, r in live.parameters if r in roots]
    sharded = live.is_sharded
    backbone = [(n, p) for n, p in everything if p.requires_grad and roles.of(p) == "backbone"] if not sharded else []
    margin = 0.0
    if batch is not None and product is not None and scale is not None and not sharded:
        lengths = lengths_of_logits(log_softmax, way, to_lengths) if log_softmax is not None else None
        margin = margin_of(batch, product, scale, lengths)
    weights = class_weights_of(consumer) if consumer is not None else None
    cut_off = judged.cut_off
    facts = GraphFacts(
        step=step,
        num_classes=num_classes,
        head=live.name(head) if head is not None and not sharded else None,
        other_heads=tuple(sorted({name for name in judged.names if name} - {judged.names[judged.index]}))[:MOST_NAMES],
        head_trainable=head is not None and head.requires_grad,
        logit_path=classification.logit_path,
        logit_scale=scale,
        feature_path=classification.feature_path,
        fed_by=_fed_by(product, classification),
        asks_at_leaf=product is not None and asks_at_leaf(product),
        neck=neck.name,
        neck_feeds_head=neck.feeds_head,
        neck_training=neck.training,
        margin=margin > 0,
        right_raised=max(0.0, -margin),
        unit_lengths=_unit_lengths(product, num_classes) if not sharded else None,
        lengths_given_back=bool(to_lengths),
        reached=len(leaves),
        trainable=sum(p.requires_grad for _, p in everything),
        backbone_reached=sum(id(p) in leaves for _, p in backbone),
        backbone_trainable=len(backbone),
        sharded=sharded,
        classifications=len(candidates),
        judged=judged.index + 1,
        cut_off=cut_off,
        over_batch=log_softmax is not None and is_over_batch(consumer, log_softmax),
        same_logits=len(judged.same_logits),
        weights_zero=int((weights == 0).sum()) if weights is not None else None,
        weights_not_finite=int((~weights.isfinite()).sum()) if weights is not None else 0,
        opinions=all(tells_opinions(end) for c in candidates if (end := follow(root, c.path)) is not None),
        pairs_by_label=_picks_pairs(root, batch, before),
        kl_div_of=found.divergence or (),
        left_out=left_out(live, leaves, roles.head | roles.neck) if cut_off else (),
        stepped_in_vain=stepped_in_vain(live, leaves, stepped) if cut_off else (),
    )
    structure = Structure(
        classification=classification,
        live=live,
        head=head,
        roles=roles,
        backbone=backbone,
        leaves=leaves,
        graph_facts=facts,
        mode_facts=mode_facts(live, roots, head, step),
        margin=margin != 0,
        to_lengths=to_lengths,
        image_path=found.image_path,
        opinions=[candidates[at] for at in judged.opinions],
        shortcut=shortcut_to(product) if product is not None and product.weight is head else None,
    )
    if sharded:
        return replace(structure, head=None, sharded=True)
    rest: list[tuple[str, Tensor]] = [(n, p) for n, p in everything if id(p) not in roles.head | roles.neck]
    rest = rest or _frozen_in_optimizers(live, roots)
    return replace(
        structure,
        everything=_that_images_pass(found.image_path, consumer, rest),
        batch_norms=batch_norms_of(live, roots, leaves),
        beside=judged.beside(),
    )


def _picks_pairs(root: Node, batch: Batch | None, before: Structure | None) -> bool:
    """Once seen it stays: a batch whose labels are all different tells nothing."""
    if before is not None and before.graph_facts.pairs_by_label:
        return True
    return batch is not None and picks_by_label(root, batch.targets)


def _frozen_in_optimizers(live: Live, roots: Collection[int]) -> list[tuple[str, Tensor]]:
    """What feeds a head that is a model of its own and is all that the loss reaches: a frozen model leaves no trace in
    the graph, but an optimizer that holds it was meant to train it. A teacher is in none."""
    held = held_by(live.optimizers) or frozenset()
    mine = {r for _, p, r in live.parameters if id(p) in held and r not in roots}
    mine -= {r for _, p, r in live.parameters if p.requires_grad}
    return [(n, p) for n, p, r in live.parameters if r in mine]


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
        odd = OddLossFacts(step=step, fed_by=found.odd, raw_log=takes_log_of_outputs(found.odd_loss))
    elif found.divergence is not None:
        odd = OddLossFacts(step=step, fed_by=found.divergence, loss="kl_div")
    return parameter_facts(live, {id(leaf) for leaf in found.leaves}, None, Roles(), step), odd


def _logit_scale(log_softmax: Node | None, classification: Classification) -> float | None:
    if log_softmax is None or classification.product_path is None:
        return None
    return scale_of_logits(log_softmax, classification.product_path)


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
