"""Watch a rank other than the first: it writes down what it sees, says nothing, and judges nothing."""

from __future__ import annotations

import re
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from reid_smoke.facts import EndFacts
from reid_smoke.ledger import Ledger
from reid_smoke.rank_files import open_rank_ledger, rank_file
from reid_smoke.watch import watching
from reid_smoke.watch.after_import import after_import

if TYPE_CHECKING:
    from reid_smoke.probes.observer import Observer


class OtherRankWatch:
    """Where its facts cannot be written the rank trains unwatched; nothing here ever raises.

    folder: where the first rank looks for them. window: of the watch, up to twice whose end each step is measured.
    started: `time.perf_counter()` at the training's start; None: now.
    """

    gives_way = False  # to a watch within the script; else that is refused, as it is on the first rank

    def __init__(
        self,
        folder: Path,
        rank: int,
        ranks: int,
        *,
        window: tuple[int, int],
        head: re.Pattern[str] | None,
        started: float | None = None,
    ) -> None:
        self._name = f"rank {rank}"
        self._started = started
        self._file = rank_file(folder, rank)
        self._window, self._head = window, head
        self._undo = ExitStack()
        self._observer: Observer | None = None
        self._ledger: Ledger | None = None
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            self._ledger = open_rank_ledger(folder, rank, ranks)

    def start(self) -> None:
        if self._ledger is not None:
            watching._watching = self
            self._undo.callback(after_import("torch", self._attach))

    def _attach(self) -> None:
        try:
            from reid_smoke.probes.observer import Observer
            from reid_smoke.watch.hooks import observing

            assert self._ledger is not None
            observer = Observer(self._ledger, started=self._started, head=self._head, leaves_out=True)
            observer.dense_until, observer.closes_at = max(observer.dense_until, 2 * self._window[1]), self._window[1]
            self._undo.enter_context(observing(observer))
            self._observer = observer
            self._attached(observer)
        except Exception as failure:
            self._is_unwatched(failure)

    def _is_unwatched(self, failure: Exception) -> None:
        """Of a rank nothing is told: on the first one the same will have failed, and is told there."""

    def _attached(self, observer: Observer) -> None:
        """The hooks are up."""

    def finish(self, error: BaseException | None) -> None:
        ledger, self._ledger = self._ledger, None
        if ledger is None:
            return
        with suppress(Exception):
            self._undo.close()
        with suppress(Exception):
            how = watching.how_it_ended(error)
            if self._observer is None:
                ledger.add(EndFacts.unmeasured(0, how))
                return
            if how == "crashed" and error is not None:
                from reid_smoke.probes.crash import read_watched_crash

                self._observer.settle()
                for fact in read_watched_crash(error, self._observer):
                    ledger.add(fact)
            self._observer.finish(how)

    def abandon(self) -> None:
        """A signal ends this rank, and the main thread hangs: only write that."""
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            step = self._observer.step if self._observer is not None else 0
            ledger.add(EndFacts.unmeasured(step, "interrupted"))

    def give_way(self) -> None:
        """Only where `gives_way`."""

    def forget(self) -> None:
        """In a process that was forked from this one: be plain python there."""
        self._ledger = None
        self._undo.close()
