"""What the graph behind the loss shows: found by a look now and then, and followed from step to step in between."""

from __future__ import annotations

import re
from collections.abc import Collection

from torch.optim import Optimizer

from reid_smoke.probes.density import is_walked
from reid_smoke.probes.log_softmax import log_softmax_of
from reid_smoke.probes.nodes import Node, follow
from reid_smoke.probes.structure import Structure, read_structure

MOST_PATHS = 8  # shapes of the graph between loss and labels that are remembered
PATIENCE = 50  # looks without any classification, after which every 50th backward is looked at


class Sight:
    """structure: what the last look found that was kept; None before the first classification."""

    def __init__(self, wanted: re.Pattern[str] | None) -> None:
        """wanted: which weight is the head, where a loss has several."""
        self.structure: Structure | None = None
        self.fruitless = 0  # looks in a row that found no classification
        self._wanted = wanted
        self._paths: list[tuple[tuple[int, ...], str]] = []  # from a loss to its labels, and the node that holds those
        self._walked = 0

    def is_due(self, step: int) -> bool:
        return is_walked(step, self._walked)

    def remembered(self, root: Node, *, recording: bool) -> Node | None:
        """The node that holds the labels, by a way that an earlier look found; None where no such way leads to one.

        recording: a CUDA graph records. Then there is no looking again, and what it records is the model that was
            looked at.
        """
        if self.structure is None:
            return None
        for path, name in self._paths:
            consumer = follow(root, path)
            if consumer is None or consumer.name() != name or log_softmax_of(consumer) is None:
                continue
            return consumer if recording or self.structure.is_of(consumer) else None
        return None

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
        last, self.structure, self._walked = self.structure, structure, step
        way = (structure.classification.path, structure.classification.consumer)
        if last is None or last.head is not structure.head:
            self._paths.clear()
        if way not in self._paths:
            self._paths = [way, *self._paths][:MOST_PATHS]
        return last
