"""The judged head and a few weights of the backbone: their gradients, and how they move."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from reid_smoke.probes import measure
from reid_smoke.probes.under_way import Step
from reid_smoke.probes.uphill import Uphill

HEAD_SAMPLE, SENTINEL_SAMPLE = 1 << 16, 1 << 14  # elements of the head, and of each sentinel, whose way is followed


class Weights:
    """Measures into the step that is under way. `eager`: it is computed now, and not recorded by a CUDA graph."""

    def __init__(self) -> None:
        self._head: measure.Watched | None = None
        self._backbone: measure.Watched | None = None
        self.uphill = Uphill()

    def follow_head(self, weight: Tensor | None) -> None:
        """From now on; what was followed before is forgotten. None: no weight makes the logits."""
        self._head = measure.Watched([weight], HEAD_SAMPLE) if weight is not None else None
        self.uphill = Uphill()

    def follow_backbone(self, parameters: Sequence[tuple[str, Tensor]]) -> None:
        """A few of them, which stand for all."""
        self._backbone = measure.Watched(measure.choose_sentinels(parameters), SENTINEL_SAMPLE)

    @property
    def sentinel(self) -> Tensor | None:
        """The last of those that are followed; None without any."""
        sentinels = self._backbone.parameters if self._backbone is not None else []
        return sentinels[-1] if sentinels else None

    @property
    def rows_that_go_uphill(self) -> Tensor | None:
        """The head's first rows (R, D), where it is still to be looked at which way they go."""
        return self._head.sample()[0] if self._head is not None and self.uphill.wants_more else None

    def before_backward(self, now: Step) -> None:
        if self._head is not None:
            now.measurements["head_grad_before"] = measure.gradient_norms(self._head.parameters)

    def read_gradients(self, now: Step, head: str, backbone: str) -> None:
        """Norms by these names, where they were not read yet."""
        for name, watched in ((head, self._head), (backbone, self._backbone)):
            if watched is not None and watched.parameters and name not in now.measurements:
                now.measurements[name] = measure.gradient_norms(watched.parameters)

    def before_step(self, now: Step, *, of_head: bool, eager: bool) -> None:
        """An optimizer is about to step; of_head: one that has the head."""
        for watched in (self._head, self._backbone):
            if watched is not None:
                watched.before_step()
        if self._head is None or not eager:
            return
        overwritten = self._head.overwritten()
        if overwritten is not None and "head_overwritten" not in now.measurements:
            now.measurements["head_overwritten"] = overwritten
        if of_head and self.uphill.wants_more:
            cosine = self.uphill.gradient(self._head.sample_of_gradient())
            if cosine is not None:
                now.measurements["head_grad_cosine"] = cosine

    def after_step(self, now: Step, *, of_head: bool, eager: bool) -> None:
        if self._head is not None and eager and of_head and self.uphill.wants_more:
            added = self._head.change()
            cosine = self.uphill.update(added) if added is not None else None
            if cosine is not None:
                now.measurements["head_update_cosine"] = cosine
        changes = {}
        for name, watched in (("head_update", self._head), ("backbone_update", self._backbone)):
            change = watched.update(remember=eager and watched is self._head) if watched is not None else None
            if change is not None:
                changes[name], changes[f"{name}_of"] = change
        if changes:
            now.add_update(changes)

    def close(self, now: Step) -> None:
        """Where the head stands when the step is over."""
        if self._head is not None:
            now.measurements["head_norm"] = self._head.norms()
            now.measurements["head_moved"], now.measurements["head_moved_of"] = self._head.moved()

    def lose_sight(self) -> None:
        """A step was taken that nobody looked at."""
        if self._head is not None:
            self._head.lose_sight()
