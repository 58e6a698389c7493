"""What the graph behind the loss shows: found by a look now and then, and followed from step to step in between."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cached_property

from torch import Tensor
from torch.optim import Optimizer

from reid_smoke.probes.classifier import Product
from reid_smoke.probes.density import GLANCE_EACH, next_walk
from reid_smoke.probes.judged import product_behind
from reid_smoke.probes.log_softmax import find_log_softmax
from reid_smoke.probes.nodes import Node, follow, saved
from reid_smoke.probes.structure import Structure, read_structure

MOST_PATHS = 8  # shapes of the graph between loss and labels that are remembered
PATIENCE = 50  # looks without any classification, after which every 50th backward is looked at


class Reached:
    """The judged classification in the graph of one step. consumer: the node that holds the labels. log_softmax: what
    stands for it, hidden or not. has_head: whether the classifier is the one that was found; True where that does not
    tell."""

    def __init__(self, structure: Structure, consumer: Node, log_softmax: Node) -> None:
        self.consumer, self.log_softmax = consumer, log_softmax
        self._known, self._shortcut, head = structure.classification, structure.shortcut, structure.head
        self._node = follow(log_softmax, self._known.product_path) if self._known.product_path is not None else None
        if self._shortcut is None or head is None or not self._shortcut.leads_to(head, self._node):
            self._shortcut, product = None, self.product
            self.has_head = head is None or product is None or product.weight is None or product.weight is head
        else:
            self.has_head = True

    @property
    def feature(self) -> Tensor | None:
        """(B, D), what feeds the classifier; None where backward does not keep it."""
        if self._shortcut is not None:
            return saved(self._node, self._shortcut.feature_saved_as)  # type: ignore[no-any-return]
        return self.product.feature if self.product is not None else None

    @cached_property
    def product(self) -> Product | None:
        """The classifier, its sides told apart."""
        return product_behind(self.log_softmax, self._known)


class Sight:
    """structure: what the last look found that was kept; None before the first classification."""

    def __init__(self, wanted: re.Pattern[str] | None) -> None:
        """wanted: which weight is the head, where a loss has several."""
        self.structure: Structure | None = None
        self.fruitless = 0  # looks in a row that found no classification
        self._wanted = wanted
        self._paths: list[tuple[tuple[int, ...], str]] = []  # from a loss to its labels, and the node that holds those
        self._next_walk = self._next_glance = next_walk(0)
        self._modes: tuple[bool, ...] = ()  # as the last walk found them

    def is_due(self, step: int) -> bool:
        """Whether to walk the graph at this step: it is time, or something was frozen or set into another mode."""
        if step >= self._next_walk:
            return True
        if step < self._next_glance or self.structure is None:
            return False
        self._next_glance = step + GLANCE_EACH
        return self.structure.modes() != self._modes

    def remembered(self, root: Node, *, recording: bool) -> Reached | None:
        """The judged classification, by a way that an earlier look found; None where no such way leads to one.

        recording: a CUDA graph records. Then there is no looking again, and what it records is the model that was
            looked at.
        """
        if self.structure is None:
            return None
        for path, name in self._paths:
            consumer = follow(root, path)
            if consumer is None or consumer.name() != name:
                continue
            reached = self._reached(consumer)
            if reached is not None:
                return reached if recording or reached.has_head else None
        return None

    def recognized(self, root: Node) -> Node | None:
        """What holds the labels, where that which goes backward looks, from afar, as one that an earlier look found."""
        for path, name in self._paths:
            consumer = follow(root, path)
            if consumer is not None and consumer.name() == name:
                return consumer
        return None

    def reached(self, root: Node) -> Reached | None:
        """The judged classification, in the graph that was looked at last."""
        consumer = follow(root, self.structure.classification.path) if self.structure is not None else None
        return self._reached(consumer) if consumer is not None else None

    def _reached(self, consumer: Node) -> Reached | None:
        log_softmax = find_log_softmax(consumer)
        if self.structure is None or log_softmax is None:
            return None
        return Reached(self.structure, consumer, log_softmax)

    def look(self, root: Node, step: int, stepped: Collection[Optimizer]) -> Structure | None:
        """Walk the graph. None where it holds no classification, or where that is not looked for any more."""
        if self.fruitless > PATIENCE and self.fruitless % PATIENCE:
            self.fruitless += 1
            return None
        structure = read_structure(root, step, self.structure, self._wanted, stepped)
        self.fruitless += structure is None
        return structure

    def keep(self, structure: Structure, step: int) -> Structure | None:
        """From now on this is what is followed. The one that was followed before."""
        last, self.structure = self.structure, structure
        self._next_walk, self._next_glance, self._modes = next_walk(step), step + GLANCE_EACH, structure.modes()
        way = (structure.classification.path, structure.classification.consumer)
        if last is None or last.head is not structure.head:
            self._paths.clear()
        if way not in self._paths:
            self._paths = [way, *self._paths][:MOST_PATHS]
        return last
