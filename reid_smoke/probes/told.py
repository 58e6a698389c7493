"""Who is told by hooks, in the midst of a training: nothing of it may fail there, or run beside its other parts."""

from __future__ import annotations

import functools
from typing import Any

from torch import Tensor

from reid_smoke.facts import ProbeFault
from reid_smoke.ledger import Ledger
from reid_smoke.probes.dead_gpu import died_of, leave_for_ever
from reid_smoke.probes.guard import Method, guarded, not_compiled, past_their_modes, they_have_modes
from reid_smoke.probes.meanwhile import Meanwhile

MOST_FAULTS = 3  # of one probe, before it is switched off


def told(method: Method) -> Method:
    """A method that a hook calls: guarded, and begun when nothing of ours runs beside it any more.

    torch.compile, which a hook may be in the midst of, compiles what is theirs, and leaves this as it is.
    """
    safe = guarded(method)

    def alone(self: Told, *args: Any, **kwargs: Any) -> Any:
        if self.meanwhile.running is not None:
            self.meanwhile.wait()
        if not they_have_modes():  # between two steps of theirs nothing of ours is in the processor's cache: few lines
            return safe(self, *args, **kwargs)
        with past_their_modes():
            return safe(self, *args, **kwargs)

    return not_compiled(functools.wraps(method)(alone))  # type: ignore[return-value]  # of the same signature


class Told:
    """Writes down what fails of it. step: the last one that began. switched_off: probes that failed too often.
    meanwhile: what is measured while backward runs."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.switched_off: set[str] = set()
        self.meanwhile = Meanwhile()
        self.step = 0
        self._faults: dict[str, int] = {}
        self._is_gpu_dead = False

    def pinned(self) -> list[Tensor]:
        """Memory of the host that a GPU copies to."""
        return []

    def fault(self, probe: str, error: BaseException) -> None:
        if died_of(error):  # which is told of as their crash
            self.gpu_died()
            return
        self._faults[probe] = self._faults.get(probe, 0) + 1
        if self._faults[probe] <= MOST_FAULTS:
            self.ledger.add(ProbeFault(step=self.step, probe=probe, message=f"{type(error).__name__}: {error}"))
        if self._faults[probe] >= MOST_FAULTS and probe != "finish":
            self.switched_off.add(probe)

    def gpu_died(self) -> None:
        """Of a device-side assertion: what it was copying to must lie where it is."""
        if not self._is_gpu_dead:
            self._is_gpu_dead = True
            leave_for_ever(self.pinned())
