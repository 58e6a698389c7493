"""What is measured when backward begins: features, CE's weight and its share of the gradient, the images.

All of it is read from the graph behind the loss, along the ways that the last walk remembered.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from reid_smoke.probes import measure
from reid_smoke.probes.batch import Batch
from reid_smoke.probes.classifier import (
    lengths_of_logits,
    norm_input,
    part_of_rows,
    scale_of_logits,
    takes_weight_as_it_is,
)
from reid_smoke.probes.clips import order_of
from reid_smoke.probes.cross_entropy import is_cross_entropy, weight_of_ce
from reid_smoke.probes.graph import images_of, is_fed_images
from reid_smoke.probes.guard import Accountable, guarded, not_compiled, past_their_modes
from reid_smoke.probes.likeness import Likeness
from reid_smoke.probes.log_softmax import log_softmax_of
from reid_smoke.probes.margin import without_margin
from reid_smoke.probes.nodes import Node, behind, follow
from reid_smoke.probes.other_losses import SHAPES
from reid_smoke.probes.part_of_batch import rows_taken
from reid_smoke.probes.sight import Reached
from reid_smoke.probes.structure import Structure
from reid_smoke.probes.under_way import Step
from reid_smoke.probes.uphill import Uphill

PLAIN = {*SHAPES, "Mul", "Div", "Add"}  # operations between classifier and loss that leave logits as they are, or scale
MOST_PLACES = 4  # between a classifier without a neck and its pooling, where another loss may join


class Features(NamedTuple):
    """Of a batch: what feeds the classifier (B, D), and what feeds the neck (B, D, ...) where that is looked at."""

    fed: Tensor | None = None
    compared: Tensor | None = None


class Taken(NamedTuple):
    """What a step's graph held as its backward began. plain: the batch without the loss's margin. loss: 0-d. weight:
    what CE counts with in it. gradients_before: what the head's gradient was, its norm, where one was left."""

    batch: Batch
    plain: Batch
    features: Features
    loss: Tensor | None
    weight: Tensor | float | None
    gradients_before: Sequence[Tensor] | None


class AtBackward:
    """The probes of one backward. Each is guarded by itself: where one fails, the others still measure."""

    def __init__(self, structure: Structure, reached: Reached, faults: Accountable) -> None:
        """reached: the judged classification in this step's graph."""
        self.structure = structure
        self.reached = reached
        self._faults = faults
        self.switched_off = faults.switched_off

    def fault(self, probe: str, error: BaseException) -> None:
        self._faults.fault(probe, error)

    @guarded
    def features(self, *, compared: bool) -> Features:
        """What feeds the classifier, as backward keeps it. compared: those of a batch with each other, too."""
        if not compared:
            return Features(self.reached.feature)
        known, product = self.structure.classification, self.reached.product
        if product is None:
            return Features()
        norm = follow(product.node, known.norm_steps) if known.norm_steps is not None else None
        value = norm_input(norm) if norm is not None and "BatchNorm" in norm.name() else None
        return Features(product.feature, compared=value if value is not None else product.feature)

    @guarded
    def feature_lengths(self, features: Features, now: Step) -> None:
        if features.fed is not None:
            norms = now.measurements["feat_norms"] = measure.feature_norms(features.fed)
            if features.compared is not None:
                now.measurements["feat_total"] = measure.feature_total(features.fed, norms)
        if features.compared is not None:
            now.measurements["channels_alive"] = measure.channels_alive(features.compared)

    @guarded
    def plain(self, batch: Batch) -> Batch:
        """The batch, without the margin where the loss has one."""
        if not self.structure.margin:
            return batch
        scale = self.structure.graph_facts.logit_scale
        if self.reached.product is None or scale is None:
            return batch
        return without_margin(batch, self.reached.product, scale, self._lengths())

    def _lengths(self) -> Tensor | None:
        if not self.structure.to_lengths:
            return None
        way = self.structure.classification.product_path or ()
        return lengths_of_logits(self.reached.log_softmax, way, self.structure.to_lengths)

    @guarded
    def uphill(self, batch: Batch, rows: Tensor, direction: Uphill) -> None:
        """batch: without a margin; rows: the head's first."""
        if not is_cross_entropy(self.reached.consumer):
            return  # another loss may go another way
        if self.reached.product is not None and not self.structure.sharded:
            direction.asks(batch, self.reached.product.feature, rows, self.structure.graph_facts.logit_scale)

    @guarded
    def asked(self, batch: Batch, now: Step) -> None:
        """How large the head's gradient would be if the loss were CE, batch: without a margin."""
        product = self.reached.product
        if product is None or self.structure.sharded or not takes_weight_as_it_is(product):
            return
        if not is_cross_entropy(self.reached.consumer):
            return
        facts = self.structure.graph_facts
        if product.feature is None or not set(facts.logit_path) <= PLAIN:
            return
        asked = measure.gradient_of_ce(batch, product.feature, facts.logit_scale or 1.0)
        if asked is not None:
            now.measurements["head_grad_of_ce"] = asked

    @guarded
    def likeness(self, root: Node, batch: Batch, seen: Likeness, epoch: int) -> None:
        path = self.structure.image_path
        node = follow(root, path) if path is not None else None
        images = images_of(node) if node is not None and is_fed_images(node) else None
        if images is None or self._shows_two():
            return
        product, order = self.reached.product, None
        feature = product.feature if product is not None else None
        own = self._images_of_the_head(images.shape[0], batch.labels.shape[0])
        if own is not None:
            feature = feature[own] if feature is not None and feature.shape[0] == images.shape[0] else feature
            images = images[own]
        rows = self._rows_of(images.shape[0], batch.labels.shape[0])
        if rows is None and product is not None:
            order = order_of(product.feature_edge, images.shape[0], batch.labels.shape[0])
            rows = slice(None) if order is not None else None
        if rows is not None:
            mixed = batch.mixed[rows] if batch.mixed is not None else None
            seen.add(
                images, batch.labels[rows], mixed, feature, batch.log_probs[rows],
                epoch=epoch, head=self.structure.head, order=order,
            )  # fmt: skip

    def _images_of_the_head(self, images: int, labels: int) -> slice | None:
        """Those of the batch that a head of one domain's is given; None where it is given all of them."""
        known = self.structure.classification
        if labels >= images or known.product_path is None:
            return None
        way = (*known.product_path, *known.feature_steps)
        return rows_taken(self.reached.log_softmax, way, images, labels)

    def _rows_of(self, images: int, labels: int) -> slice | None:
        """Those of the loss that hold a batch's images in their order; None where that is not told.

        Scores of several parts may stand below each other, and each part has all the images.
        """
        if images == labels:
            return slice(None)
        path = self.structure.classification.product_path
        part = part_of_rows(self.reached.log_softmax, path, images) if path is not None else None
        return slice(part * images, (part + 1) * images) if part is not None else None

    def _shows_two(self) -> bool:
        """Each image is two people's: two losses on the same logits, as mixup has them."""
        return self.structure.graph_facts.same_logits > 1

    @guarded
    def weight(self, root: Node) -> Tensor | float | None:
        """Of CE in the loss, its scale included."""
        known = self.structure.classification
        return weight_of_ce(root, known.path) if follow(root, known.path) is self.reached.consumer else None

    @guarded
    def images(self, root: Node, batch: Batch, now: Step) -> None:
        path = self.structure.image_path
        node = follow(root, path) if path is not None else None
        images = images_of(node) if node is not None else None
        if images is None:
            return
        labels = batch.labels if batch.labels.shape[0] == images.shape[0] and not self._shows_two() else None
        now.images = measure.image_figures(images, labels)
        now.image_shape = tuple(images.shape)

    @guarded
    def share(self, now: Step) -> None:
        """How much of the gradient at the feature is CE's: told by the graph's own hooks while backward runs.

        Other losses join the way at the classifier's input (the BN feature) or below the neck (the pooled feature);
        without a neck, at any of the few views between the classifier and the pooling. At each of these places the
        gradient from above is CE's, and what goes on downwards is everybody's.
        """
        known = self.structure.classification
        if known.product_path is None:
            return
        product = follow(self.reached.log_softmax, known.product_path)
        if known.norm_steps is not None:
            places = [(product, known.norm_steps[0]), (follow(product, known.norm_steps), 0)]
        else:
            steps = known.feature_steps[:MOST_PLACES]
            places = [(follow(product, steps[:at]), edge) for at, edge in enumerate(steps)]
        for above, edge in places:
            below = follow(above, (edge,))
            if above is not None and below is not None:
                _compare_gradients(above, edge, below, now)

    @guarded
    def targets(self, root: Node, now: Step) -> None:
        """How much labels weigh, and how much soft targets on the same logits: told while backward runs.

        Targets sum up to 1, so the gradient at a log-softmax sums up to minus its loss's weight. A temperature T is in
        the logits and in their gradient: whoever multiplies with its square has a weight of 1 again.
        """
        for beside in self.structure.opinions:
            node = follow(root, beside.path)
            of_opinion = log_softmax_of(node) if node is not None else None
            if of_opinion is None or of_opinion is self.reached.log_softmax or beside.product_path is None:
                return
            scale = scale_of_logits(of_opinion, beside.product_path)
            _note_weight(of_opinion, "weight_of_soft", scale**2, now)
        if self.structure.opinions:
            _note_weight(self.reached.log_softmax, "weight_of_labels", 1.0, now)

    @guarded
    def turned(self, now: Step) -> None:
        """Whether a function of the user's own turns the gradient around on its way from the head to the backbone, or
        makes the logits itself, as a memory's does, and passes nothing on."""
        path = self.structure.classification.product_path
        makes = follow(self.reached.log_softmax, path) if path is not None else None
        if isinstance(makes, BackwardCFunction):
            _note_what_is_let_through(makes, now)
        for node in behind(self.reached.product.feature_edge) if self.reached.product is not None else ():
            if isinstance(node, BackwardCFunction):
                _compare_sides(node, now)


def _note_weight(node: Node, name: str, factor: float, now: Step) -> None:
    def note(gradients: tuple[Tensor | None, ...]) -> None:
        gradient = next((g for g in gradients if g is not None), None)
        if gradient is not None:
            now.measurements[name] = [*now.tensors(name), -factor * gradient.detach().float().sum()]

    node.register_prehook(_harmless(note))


def _compare_sides(node: Node, now: Step) -> None:
    def compare(going_on: tuple[Tensor | None, ...], coming: tuple[Tensor | None, ...]) -> None:
        for after in going_on:
            for before in coming:
                if after is not None and before is not None and after.shape == before.shape and after.numel() > 1:
                    cosine = torch.cosine_similarity(after.detach().float().flatten(), before.float().flatten(), dim=0)
                    now.own_functions.append(node.name())
                    now.measurements["own_functions"] = [*now.tensors("own_functions"), cosine]

    node.register_hook(_harmless(compare))


def _note_what_is_let_through(node: Node, now: Step) -> None:
    def note(going_on: tuple[Tensor | None, ...], coming: tuple[Tensor | None, ...]) -> None:
        given = [_norm(gradient) for gradient in coming if gradient is not None]
        if given:
            passed = [_norm(gradient).to(given[0].device) for gradient in going_on if gradient is not None]
            share = torch.stack(passed or [torch.zeros_like(given[0])]).amax() / torch.stack(given).amax()
            now.measurements["let_through"] = share  # NaN, of nothing

    node.register_hook(_harmless(note))


def _compare_gradients(above: Node, edge: int, below: Node, now: Step) -> None:
    of_ce: list[Tensor] = []
    output = above.next_functions[edge][1]

    def note(inputs: tuple[Tensor | None, ...], outputs: object) -> None:
        gradient = inputs[edge] if edge < len(inputs) else None
        if gradient is not None:
            of_ce.append(_norm(gradient))

    def compare(gradients: tuple[Tensor | None, ...]) -> None:
        gradient = gradients[output] if output < len(gradients) else None
        if gradient is not None and of_ce:
            whole = _norm(gradient)
            share = torch.where(whole > 0, of_ce[0] / whole.clamp_min(1e-30), torch.nan)  # of nothing there is no share
            earlier = now.measurements.get("ce_share")
            now.measurements["ce_share"] = share * earlier if isinstance(earlier, Tensor) else share

    above.register_hook(_harmless(note))
    below.register_prehook(_harmless(compare))


def _norm(gradient: Tensor) -> Tensor:
    """To cast a complex one is to lose a part of it, and to have torch warn of that."""
    gradient = gradient.detach()
    norm: Tensor = torch.linalg.vector_norm(gradient.abs() if gradient.is_complex() else gradient.float())
    return norm


def _harmless(hook: Callable[..., None]) -> Callable[..., None]:
    """A hook on the graph that never stops a backward: what it could not measure stays unmeasured."""

    @not_compiled
    def safe(*args: Any) -> None:
        with contextlib.suppress(Exception), torch.no_grad(), past_their_modes():
            hook(*args)

    return safe
