"""The heads beside the judged one, over as many identities and for the same rows: what their CE is, whose labels they
are given, and whether they move at all."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reid_smoke.facts import HeadRecord, HeadsFacts
from reid_smoke.probes.batch import Batch
from reid_smoke.probes.graph import Classification, batch_of
from reid_smoke.probes.nodes import Node

MOST = 16  # heads
SAMPLE = 1 << 12  # elements of each, by which it is told whether it moved


@dataclass(frozen=True)
class Beside:
    """A classification of another head than the judged one."""

    name: str
    weight: Tensor
    classification: Classification


class Heads:
    """Looks at each walk. Waits for the device once."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[weakref.ref[Tensor], Tensor]] = {}  # each head's first values

    def facts(
        self, root: Node, judged: Classification, name: str | None, beside: Sequence[Beside], step: int
    ) -> HeadsFacts | None:
        """None where there is no other head that can be compared with the judged one."""
        batch = batch_of(root, judged)
        if batch is None or not beside:
            return None
        names: list[str] = []
        figures: list[Tensor] = []
        for other in beside:
            of_other = batch_of(root, other.classification)
            if of_other is None or of_other.log_probs.shape != batch.log_probs.shape:
                continue
            if of_other.log_probs.device != batch.log_probs.device:  # a model that is spread over several
                continue
            if other.name not in names and len(set(names)) == MOST:
                continue
            names.append(other.name)
            figures.append(self._compare(of_other, batch, other))
        if not names:
            return None
        own = torch.stack([_ce(batch), *figures[0].new_zeros(3)])
        first, *rows = torch.stack([own, *figures]).tolist()
        # With mixup a head has two classifications: the one whose labels are the judged one's counts.
        best: dict[str, list[float]] = {}
        for other_name, row in zip(names, rows, strict=True):
            if other_name not in best or row[1] > best[other_name][1]:
                best[other_name] = row
        records = [
            HeadRecord(name=n, ce=ce, same_labels=same, reordered=bool(order), moved=bool(moved))
            for n, (ce, same, order, moved) in best.items()
        ]
        return HeadsFacts(step=step, judged=name, num_classes=batch.log_probs.shape[1], ce=first[0], heads=records)

    def _compare(self, other: Batch, batch: Batch, beside: Beside) -> Tensor:
        """(4,): CE, share of the rows with the judged one's label, whether only their order differs, has it moved."""
        same = (other.targets == batch.targets).float().mean()
        order = (other.targets.sort().values == batch.targets.sort().values).all() & (same < 1)
        now = beside.weight.detach().flatten()[:SAMPLE]
        known, first = self._first.get(beside.name, (None, None))
        if known is None or first is None or known() is not beside.weight:
            first = now.clone()
            self._first[beside.name] = (weakref.ref(beside.weight), first)
        moved = (now != first).any()
        return torch.stack([_ce(other), same, order.float(), moved.to(same.device).float()])


def _ce(batch: Batch) -> Tensor:
    # That of `functional` is a door that the observer stands at, which counts the losses without a gradient.
    ce: Tensor = torch.ops.aten.nll_loss(batch.log_probs.float(), batch.targets, None, 1, batch.ignored)  # 1: the mean
    return ce
