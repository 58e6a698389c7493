"""From figures to facts in the ledger, and the sums that the end of a training asks for."""

from __future__ import annotations

import math
from typing import Any

from reid_smoke.facts import EndFacts, Fact, ImageFacts, StepFacts
from reid_smoke.ledger import Ledger
from reid_smoke.probes import measure
from reid_smoke.probes.under_way import Step


class FactWriter:
    """Writes to `ledger`."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._last: dict[type[Fact], Fact] = {}
        self._batch_size = 0
        self._images = 0
        self._data_s = 0.0
        self._compute_s = 0.0

    def last(self, kind: type[Fact]) -> Any:
        """The fact of this kind that `if_new` wrote last; None: none yet."""
        return self._last.get(kind)

    def forget(self) -> None:
        """Whatever was written before is written anew when it comes again."""
        self._last.clear()

    def if_new(self, fact: Any) -> None:
        """Write a fact of the structure, unless nothing but its step differs from the last one."""
        before = self._last.get(type(fact))
        if before is None or before.model_copy(update={"step": fact.step}) != fact:
            self._last[type(fact)] = fact
            self.ledger.add(fact)

    def step(self, step: Step, figures: dict[str, float]) -> None:
        scale = figures.pop("amp_scale")
        lr_on_device = {name: _number(figures.pop(name)) for name in ("lr_head", "lr_backbone")}
        counts = {name: int(figures.pop(name)) for name in ("batch", "label_min", "label_max", "distinct_labels")}
        self._batch_size = counts["batch"]
        self.count(step)
        self.ledger.add(
            StepFacts(
                step=step.number,
                epoch=step.epoch,
                step_in_epoch=step.step_in_epoch,
                lr_head=lr_on_device["lr_head"] if step.lr_head is None else step.lr_head,
                lr_backbone=lr_on_device["lr_backbone"] if step.lr_backbone is None else step.lr_backbone,
                clip_at=step.clip_at,
                amp_scale=_number(scale),
                applied=step.applied,
                head_steps=step.head_steps,
                head_optimizers=len(step.head_optimizers),
                events=step.events,
                turned_by=step.turned_by,
                data_s=step.data_s,
                compute_s=step.compute_s or 0.0,
                **figures,
                **counts,
            )
        )

    def images(self, step: Step, row: list[float]) -> None:
        figures = dict(zip(measure.IMAGE_FIGURES, row, strict=True))
        twins = {name: int(figures.pop(name)) for name in ("twins", "twins_of_another_label")}
        self.ledger.add(ImageFacts(step=step.number, shape=step.image_shape, **figures, **twins))

    def count(self, step: Step) -> None:
        """Add a step to the sums; one that was not measured counts with the batch size of the last that was."""
        self._images += self._batch_size
        self._data_s += step.data_s
        self._compute_s += step.compute_s or 0.0

    def end(
        self, step: int, place: tuple[int, int] | None, how: Any, *, started: float, begun: float, now: float
    ) -> None:
        """place: the last step's, its epoch and the step in it; None without any. started: of the process, begun: of
        the first batch, now: all by time.perf_counter()."""
        busy = self._data_s + self._compute_s
        self.ledger.add(
            EndFacts(
                step=step,
                epoch=place[0] if place is not None else None,
                step_in_epoch=place[1] if place is not None else None,
                how=how,
                startup_s=begun - started,
                train_s=now - begun,
                images_per_s=self._images / (now - begun) if now > begun else 0.0,
                data_wait_share=self._data_s / busy if busy else 0.0,
            )
        )


def _number(figure: float) -> float | None:
    """None for NaN, which stands where there was nothing to be measured."""
    return None if math.isnan(figure) else figure
