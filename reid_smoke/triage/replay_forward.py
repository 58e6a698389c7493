"""Call their modules again as they were called, and find the logits, or what feeds the head, in what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from reid_smoke.probes.classifier import read_product
from reid_smoke.probes.cross_entropy import read_batch
from reid_smoke.probes.graph import walk
from reid_smoke.probes.log_softmax import log_probs_of, log_softmax_of
from reid_smoke.probes.nodes import PRODUCTS, Node, behind, follow, name_of
from reid_smoke.triage.replay_kept import Batch, CannotReplay, Given, Parts, at, replaced, tensors_in

SEARCHED = 24  # nodes below the logits, within which the classifier's product is looked for


@dataclass
class Logits:
    """values (B, C), and how a gradient of the same shape goes backward from there: into the graph behind `start`."""

    values: Tensor
    backward: Callable[[Tensor], None]
    start: Node | None

    @staticmethod
    def of(values: Tensor) -> Logits:
        def backward(gradient: Tensor) -> None:
            torch.autograd.backward(values, gradient.to(values.dtype))

        return Logits(values, backward, values.grad_fn)

    def check_is_apart_from(self, originals: Sequence[Tensor]) -> None:
        """Raises CannotReplay where a gradient would reach one of these, the parameters that the script trains.

        A method that a script has put in the place of another holds on to the model that it was made for: a copy of the
        model still calls the original.
        """
        theirs = {id(parameter) for parameter in originals}
        for node in behind(self.start):
            if id(getattr(node, "variable", None)) in theirs:
                raise CannotReplay(
                    "a function that was put in the place of one of the model's methods holds on to the model itself, "
                    "so that a copy of the model trains the original"
                )


def forward(parts: Parts, batch: Batch, device: torch.device, *, feature: bool = False) -> Logits:
    """The logits of a batch; with `feature` what the head is fed, (B, D), instead.

    Raises CannotReplay where they are not found, and whatever their modules raise.
    """
    results: list[Any] = []

    def given(leaf: Any) -> Any:
        if isinstance(leaf, Given):
            return at(results[leaf.call], leaf.way)
        return leaf.detach().to(device, copy=True)  # theirs may write into what it is given

    for call in batch.calls:
        module = parts.of(call.module)
        args, kwargs = replaced(call.args, given), replaced(call.kwargs, given)
        results.append(module(*args, **kwargs) if module is not None else None)
    if batch.logits is not None:
        values = at(results[batch.logits.call], batch.logits.way)
        if not values.requires_grad:
            raise CannotReplay("the logits ask for no gradient")
        return _feature(values.grad_fn, starts=True) if feature else Logits.of(values)
    log_softmax = _inside(results[-1])
    if feature:
        return _feature(log_softmax, starts=False)
    # log-probabilities are logits up to a constant in each row, and CE's gradient is the same at both.
    if name_of(log_softmax) == "Log":
        raise CannotReplay("the loss sums up the logits' exponentials by itself")
    values = log_probs_of(log_softmax).detach()
    return Logits(values, lambda gradient: _from_edge(log_softmax, 0, gradient.to(values.dtype)), log_softmax)


def _inside(result: Any) -> Node:
    """The log-softmax of a loss that their module computed."""
    for _, tensor in tensors_in(result):
        if tensor.grad_fn is not None:
            for found in walk(tensor.grad_fn).classifications:
                consumer = follow(tensor.grad_fn, found.path)
                if consumer is not None and read_batch(consumer) is not None:
                    node: Node = log_softmax_of(consumer)
                    return node
    raise CannotReplay("no classification loss is found in what their module returns")


def _feature(node: Node, *, starts: bool) -> Logits:
    """Of the classifier's product that is nearest below `node`; with `starts` it may be `node` itself."""
    queue = [node]
    for product in queue:
        if product is None or len(queue) > SEARCHED:
            continue
        if any(kind in product.name() for kind in PRODUCTS) and (starts or product is not node):
            return _fed(product)
        queue += [child for child, _ in product.next_functions]
    raise CannotReplay("what feeds the head cannot be read")


def _fed(node: Node) -> Logits:
    product = read_product(node)
    feature = product.feature if product is not None else None
    if product is None or feature is None or feature.dim() != 2:
        raise CannotReplay("what feeds the head cannot be read")
    if product.feature_edge is None:  # nothing behind the feature is trained: the head alone is
        return Logits(feature, lambda gradient: None, None)
    index = next(i for i, (child, _) in enumerate(node.next_functions) if child is product.feature_edge)
    return Logits(feature, lambda gradient: _from_edge(node, index, gradient.to(feature.dtype)), product.feature_edge)


def _from_edge(node: Node, index: int, gradient: Tensor) -> None:
    below, output = node.next_functions[index]
    if below is not None:
        torch.autograd.backward(GradientEdge(below, output), gradient)


def images_of_batch(batch: Batch) -> Tensor | None:
    """(B, 3, H, W) floats among what their modules are given: the largest such tensor."""
    found = [
        tensor
        for call in batch.calls
        for _, tensor in tensors_in((call.args, call.kwargs))
        if tensor.dim() == 4 and tensor.shape[:2] == (len(batch.labels), 3) and tensor.is_floating_point()
    ]
    return max(found, key=lambda tensor: tensor.numel(), default=None)
