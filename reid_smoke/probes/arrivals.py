"""Steps whose figures have arrived from the device, and what is written of them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from reid_smoke.probes.figures import counted_labels, read_figures, turned_by
from reid_smoke.probes.labels import LabelCounts
from reid_smoke.probes.likeness import Likeness
from reid_smoke.probes.outbox import Outbox
from reid_smoke.probes.under_way import Step
from reid_smoke.probes.writer import FactWriter


class Arrivals:
    """likeness: what the first images were, and how alike. labels_due: with which step the labels are told of."""

    def __init__(self, writer: FactWriter, skipped: Callable[[int], None]) -> None:
        """skipped: told of optimizer steps that changed nothing, as the device found out after they were noted."""
        self._writer, self._skipped = writer, skipped
        self._outbox = Outbox()
        self._labels = LabelCounts()
        self.likeness = Likeness()
        self.labels_due: int | None = None  # besides every hundredth
        self._next_hundred = 100

    @property
    def is_full(self) -> bool:
        """No more steps are to be expected before some are written."""
        return self._outbox.is_full

    @property
    def pinned(self) -> list[Tensor]:
        """Memory of the host that a GPU copies to."""
        return self._outbox.pinned

    def expect(self, step: Step, row: Tensor) -> None:
        """row: (numbers,) float32 on any device, as `step.to_row` makes it."""
        self._outbox.put(step, row)

    def begin_anew(self) -> None:
        """What was counted so far is of another loss."""
        self._labels, self.likeness = LabelCounts(), Likeness()

    def write(self, *, wait: bool, dense_until: int) -> None:
        """Those that have arrived; with `wait` all of them, as soon as they have."""
        stop: BaseException | None = None
        for step, row in self._outbox.take(wait=wait):
            try:
                self._write(step, row)
                due = self.labels_due is not None and step.number >= self.labels_due
                if due or self._next_hundred <= step.number <= dense_until:
                    self.labels_due = None if due else self.labels_due
                    self._next_hundred = step.number // 100 * 100 + 100
                    self.write_labels(step.number)
            except BaseException as wanted:  # whoever listens may end the training; the rest is written first
                stop = wanted
        if stop is not None:
            raise stop

    def _write(self, step: Step, row: Tensor) -> None:
        if step.images is not None:
            self._writer.images(step, step.images.tolist())
        numbers = step.numbers(row)
        figures = read_figures(numbers, step.updates)
        step.turned_by = turned_by(numbers, step.own_functions)
        ignored = int(numbers["ignored"][0])
        for batch in (*step.batches_between(numbers, ignored), counted_labels(numbers)):
            self._labels.add(batch, step.classes, ignored=ignored)
        skips = figures.pop("skips")
        if skips > 0:
            step.skip(int(skips))
            self._skipped(int(skips))
        self._writer.step(step, figures)

    def write_labels(self, step: int) -> None:
        """What is known of the labels and of the first images by this step."""
        for facts in (self._labels.facts(step), self.likeness.facts(step)):
            if facts is not None:
                self._writer.if_new(facts)
