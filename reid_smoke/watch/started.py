"""Watch a process that the watched script has started: it writes down what the script's own process will report."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from reid_smoke.environment import read_environment
from reid_smoke.facts import AnyFact, GroupFacts, ProbeFault, StartedFacts, StepFacts, fact_from_json
from reid_smoke.launched import HOOKS
from reid_smoke.watch import watching
from reid_smoke.watch.in_child import Plan
from reid_smoke.watch.live import LiveJudge
from reid_smoke.watch.other_rank import OtherRankWatch
from reid_smoke.watch.saying import sayer

if TYPE_CHECKING:
    from reid_smoke.probes.observer import Observer


class StartedWatch(OtherRankWatch):
    """One of `processes` that a launch started, the `index`-th of them. The first says what is certain.

    Raises OSError where its facts cannot be written.
    """

    gives_way = True

    def __init__(self, plan: Plan, launch: int, index: int, processes: int) -> None:
        if not Path(plan.folder).is_dir():
            raise FileNotFoundError(plan.folder)  # the report is over, or could never be written
        super().__init__(
            Path(plan.folder) / str(launch), index, processes, window=plan.window, head=plan.head, started=plan.started
        )
        self._tells = plan.tells if index == 0 else ()
        self._live: LiveJudge | None = None
        self._is_in_group = self._is_known = False

    def _attached(self, observer: Observer) -> None:
        assert self._ledger is not None
        for line in self._tells:
            self._ledger.add(fact_from_json(line))
        if self._tells:
            self._live = LiveJudge(self._ledger, self._window[1], sayer(sys.stderr))
            self._live.observer = observer
        self._ledger.subscribe(self._hears)

    def _is_unwatched(self, failure: Exception) -> None:
        if self._ledger is not None:
            self._ledger.add(ProbeFault(step=0, probe=HOOKS, message=f"{type(failure).__name__}: {failure}"))

    def _hears(self, fact: AnyFact) -> None:
        with suppress(Exception):
            if not self._is_in_group:
                self._look_for_group()
            if not self._is_known and isinstance(fact, StepFacts):
                self._is_known = True
                self._add_what_is_known()  # now, for who is killed adds nothing later
        with suppress(Exception):  # the end judges anew, and tells what is wrong
            if self._live is not None:
                self._live.hears(fact)

    def _look_for_group(self) -> None:
        distributed = sys.modules["torch.distributed"]
        if self._ledger is not None and distributed.is_available() and distributed.is_initialized():
            self._is_in_group = True
            self._ledger.add(GroupFacts(rank=distributed.get_rank(), ranks=distributed.get_world_size()))

    def finish(self, error: BaseException | None) -> None:
        if self._live is not None:
            self._live.is_over = True
        if self._ledger is not None and self._observer is not None:
            with suppress(Exception):
                self._add_what_is_known()
        super().finish(error)

    def _add_what_is_known(self) -> None:
        assert self._ledger is not None
        assert self._observer is not None
        device = self._observer.device
        environment = read_environment(device) if device is not None else {}
        self._ledger.add(StartedFacts(environment=environment, unclassified=dict(self._observer.tally.unclassified)))

    def give_way(self) -> None:
        """To a watch of the script's own in this process, as if this one had never been."""
        ledger = self._ledger
        self.forget()
        watching._watching = None
        if ledger is not None:
            ledger.close()
        if self._file is not None:
            with suppress(OSError):
                self._file.unlink()
