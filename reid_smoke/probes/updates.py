"""The optimizers' steps: which of them has the head, and what an update is made of."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from weakref import WeakSet

from torch import Tensor
from torch.optim import Optimizer

from reid_smoke.probes.continuity import Continuity
from reid_smoke.probes.groups import Places, as_float
from reid_smoke.probes.guard import NoGradients
from reid_smoke.probes.sharing import Sharing
from reid_smoke.probes.under_way import Step
from reid_smoke.probes.weights import Weights


class Updates:
    """Told of each optimizer that steps; measures into the batch's step that is under way.

    weights: the judged head and the backbone, whose gradients are read and whose ways are followed. stepped: all
    optimizers that have. closures: backwards within the step that is under way, or was last.
    """

    def __init__(self) -> None:
        self._places = Places()
        self.weights = Weights(self._places)
        self.heads = Continuity()
        self.sharing = Sharing()
        self.stepped: WeakSet[Optimizer] = WeakSet()
        self.closures = 0
        self._under_way: list[bool] = []  # of each that steps now, the outermost first: is the head in it

    @property
    def are_under_way(self) -> bool:
        """An optimizer steps now: a backward is its closure's."""
        return bool(self._under_way)

    def forget(self) -> None:
        """None is under way any more: a step that raised never ended."""
        self._under_way.clear()

    def backward_within(self) -> None:
        """The judged loss goes backward; where that is a closure's, the optimizer's step goes on after it."""
        self.closures += self.are_under_way

    def begin(
        self,
        optimizer: Optimizer,
        head: Tensor | None,
        now: Step | None,
        *,
        eager: bool,
        aside: AbstractContextManager[None],
    ) -> None:
        """It is about to step. head: the judged one. now: None where nothing is measured. eager: it is computed now,
        and not recorded by a CUDA graph. aside: where figures are computed that nothing waits for."""
        self.stepped.add(optimizer)
        self.closures = self.closures if self._under_way else 0
        if now is None:
            self._under_way.append(False)
            self.weights.lose_sight()
            return
        group = self._places.group_of(optimizer, head)
        holds_head = group is not None and group.get("lr") is not None
        inside = any(self._under_way)
        self._under_way.append(holds_head or inside)
        now.row = None  # a graph that holds no update: it follows by itself
        with NoGradients():
            self.weights.before_step(now, of_head=holds_head, eager=eager)
            with aside:  # a step reads the gradients, and leaves them as they are
                self.weights.read_gradients(now, "head_grad_applied", "backbone_grad_applied", optimizer)
        # A wrapper (Lookahead, say) steps the optimizer inside of it: that is one step.
        if len(self._under_way) == 1:
            self.sharing.step(optimizer)
        for_another = now.head_steps > 0 and "x" in now.events.rsplit("s", 1)[-1]  # a loss that went backward since
        if holds_head and not inside and not for_another:
            now.head_steps += 1
            now.head_optimizers.add(id(optimizer))
            self.heads.stepped(optimizer)
        _read_lr(now, "lr_head", group)
        _read_lr(now, "lr_backbone", self._places.group_of(optimizer, self.weights.sentinel))

    def end(self, optimizer: Optimizer, now: Step | None, *, eager: bool) -> None:
        """It has stepped."""
        holds_head = self._under_way.pop() if self._under_way else False
        if now is not None:
            with NoGradients():
                _read_skip(now, optimizer)
                self.weights.after_step(now, of_head=holds_head, eager=eager)


def _read_skip(now: Step, optimizer: Optimizer) -> None:
    """A fused optimizer is stepped by GradScaler all the same, and skips by itself what is not finite."""
    found = getattr(optimizer, "found_inf", None)
    if isinstance(found, Tensor):
        skip = (found.detach().reshape(()) > 0).float()
        earlier = now.measurements.get("skips")
        now.measurements["skips"] = skip + earlier if isinstance(earlier, Tensor) else skip


def _read_lr(now: Step, name: str, group: dict[str, Any] | None) -> None:
    lr = group.get("lr") if group is not None else None
    if isinstance(lr, Tensor) and lr.device.type != "cpu":
        now.measurements[name] = lr.detach().reshape(()).clone()
    elif lr is not None:
        setattr(now, name, as_float(lr))
