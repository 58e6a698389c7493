"""The judged head and a few weights of the backbone: their gradients, and how they move.

Launches are what this costs on a GPU. So a step only copies, and what the copies tell is computed at its end, for all
the weights at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from reid_smoke.probes import measure
from reid_smoke.probes.groups import Places
from reid_smoke.probes.under_way import Step
from reid_smoke.probes.uphill import Uphill

HEAD_SAMPLE, SENTINEL_SAMPLE = 1 << 16, 1 << 14  # elements of the head, and of each sentinel, whose way is followed
MOST_ROWS = 256  # of the head, that are looked at for what others than optimizers do to it


class Weights:
    """Measures into the step that is under way. `eager`: it is computed now, and not recorded by a CUDA graph."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._head: measure.Watched | None = None
        self._backbone: measure.Watched | None = None
        self._is_before = False  # `before` of each has what it was as the optimizer began, which has not ended
        self._updated: Step | None = None  # `before` and `after` have an update of this step that is not measured yet
        self._is_after = False  # `after` of the head has what the last step left
        self._apart: Step | None = None  # `before` and `earlier` of the head lie before this step, not compared yet
        self.uphill = Uphill()

    def follow_head(self, weight: Tensor | None) -> None:
        """From now on; what was followed before is forgotten. None: no weight makes the logits."""
        self._measure()
        self._head = measure.Watched([weight], HEAD_SAMPLE) if weight is not None else None
        self._is_before = self._is_after = False
        self.uphill = Uphill()

    def follow_backbone(self, parameters: Sequence[tuple[str, Tensor]]) -> None:
        """A few of them, which stand for all."""
        self._measure()
        self._backbone = measure.Watched(measure.choose_sentinels(parameters), SENTINEL_SAMPLE)
        self._is_before = False

    @property
    def sentinel(self) -> Tensor | None:
        """The last of those that are followed; None without any."""
        sentinels = self._backbone.parameters if self._backbone is not None else []
        return sentinels[-1] if sentinels else None

    @property
    def rows_that_go_uphill(self) -> Tensor | None:
        """The head's first rows (R, D), where it is still to be looked at which way they go."""
        return self._head.sample()[0] if self._head is not None and self.uphill.wants_more else None

    def gradients_before(self) -> Sequence[Tensor] | None:
        """Norms of what is left of the head's gradient as backward begins; None without a head."""
        left = self._head.gradients() if self._head is not None else None
        return measure.norms_of(left) if left else left

    def read_gradients(self, now: Step, head: str, backbone: str, stepping: Optimizer | None = None) -> None:
        """Norms by these names, where they were not read yet.

        stepping: an optimizer that is about to step, and may do so in the midst of backward. What another optimizer
            found before it is read again by the first that holds them: meanwhile they may have been zeroed.
        """
        sides = ((head, self._head), (backbone, self._backbone))
        wanted: dict[str, list[Tensor]] = {}
        for name, watched in sides:
            if watched is None or not watched.is_trained:
                continue
            if stepping is not None:
                held = self._places.holds_any(stepping, watched.parameters)
                # Of parameters that another optimizer holds backward may still be on its way to them.
                if not held and not watched.gradients():
                    continue
                if held and name not in now.found_by_holder:
                    now.found_by_holder.add(name)
                    if name in now.measurements:
                        raw = "head_grad" if name == head else "backbone_grad"
                        now.measurements.setdefault(raw, now.measurements.pop(name))
            if name not in now.measurements:
                wanted[name] = watched.gradients()
        now.measurements |= measure.lengths(wanted)

    def before_step(self, now: Step, *, of_head: bool, eager: bool) -> None:
        """An optimizer is about to step; of_head: one that has the head."""
        self._measure()  # of an optimizer that stepped before this one
        self._copy("before")
        self._is_before = True
        known, self._is_after = self._is_after, False
        if self._head is None or not eager:
            return
        if known and self._head.before[0].dim() > 1 and "head_apart" not in now.measurements:
            self._head.keep_after()
            self._apart = now
        if of_head and self.uphill.wants_more:
            cosine = self.uphill.gradient(self._head.sample_of_gradient())
            if cosine is not None:
                now.measurements["head_grad_cosine"] = cosine

    def after_step(self, now: Step, *, of_head: bool, eager: bool) -> None:
        if self._updated is not None:
            self._measure()  # of an optimizer inside of this one
        self._copy("after")
        self._is_after = eager
        if not self._is_before:
            return
        self._is_before, self._updated = False, now
        if self._head is not None and eager and of_head and self.uphill.wants_more:
            cosine = self.uphill.update(self._head.after[0] - self._head.before[0])
            if cosine is not None:
                now.measurements["head_update_cosine"] = cosine

    def close(self, now: Step, *, eager: bool) -> None:
        """Where the head stands when the step is over."""
        if eager and not now.head_steps and (rows := self.rows_that_go_uphill) is not None:
            cosine = self.uphill.by_hand(rows)
            if cosine is not None:
                now.measurements["head_update_cosine"] = cosine
        self._measure(ending=now)

    def lose_sight(self) -> None:
        """A step was taken that nobody looked at."""
        self._is_after = False

    @property
    def _watched(self) -> dict[str, measure.Watched]:
        both = {"head_update": self._head, "backbone_update": self._backbone}
        return {name: watched for name, watched in both.items() if watched is not None}

    def _copy(self, copies: str) -> None:
        """What is there now, to `before` or to `after`."""
        watched = self._watched.values()
        measure.copy([t for w in watched for t in w.sample()], [t for w in watched for t in getattr(w, copies)])

    def _measure(self, ending: Step | None = None) -> None:
        """What the last update changed, before its copies are written over; with it what belongs to a step's end."""
        if self._apart is not None and self._head is not None:
            self._apart.measurements["head_apart"] = _apart(self._head)
            self._apart = None
        updated, self._updated = self._updated, None
        if updated is None and ending is None:
            return
        changes, wholes = {}, {}
        if updated is not None:
            for name, watched in self._watched.items():
                changes[name], wholes[f"{name}_of"] = (watched.after, watched.before), watched.before
        if ending is not None and self._head is not None:
            changes["head_moved"], wholes["head_norm"] = (self._head.sample(), self._head.start), self._head.parameters
            ending.measurements["head_moved_of"] = self._head.lengths
            if self._backbone is not None and updated is None and not ending.updates:
                # No optimizer of torch's stepped: another kind may have, which no hook tells of.
                changes["backbone_moved"] = (self._backbone.sample(), self._backbone.start)
                ending.measurements["backbone_moved_of"] = self._backbone.lengths
        found = measure.lengths(measure.differences(changes) | wholes)
        if updated is not None:
            updated.add_update({name: found.pop(name) for name in list(found) if "_update" in name})
        if ending is not None:
            ending.measurements |= found


def _apart(head: measure.Watched) -> float | Tensor:
    before, earlier = head.before[0], head.earlier
    # Nearly always nothing has changed, and the look is free where nobody waits for a device.
    if before.device.type == "cpu" and torch.equal(before, earlier):
        return 0.0
    return measure.apart(before[:MOST_ROWS], earlier[:MOST_ROWS])
