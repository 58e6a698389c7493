"""What is done about a signal that the main thread does not get to.

Python's own handlers run between two instructions of the main thread. A rank that waits in C for another one (a
collective, a GPU that runs one) executes none, and would be killed without a word when its launcher's patience ends.
Python's wakeup file descriptor is written by the signal itself, and a thread that reads it is not held up.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType

SECONDS_OF_FIRST, SECONDS_OF_OTHERS = 8.0, 2.0  # launchers kill after 30


class LastResort:
    """While inside: where a signal has not led to `stand_down` after `patience` seconds, `act` is called.

    act: called in a thread of its own, while the main thread may hang; gives the exit code that the process then ends
        with at once, or None where it is to go on. patience: None where nothing is to be done.
    """

    def __init__(
        self,
        patience: float | None,
        act: Callable[[], int | None] = lambda: 3,
        signals: Sequence[int] = (signal.SIGTERM, signal.SIGINT),
    ) -> None:
        self._patience = patience if os.name == "posix" else None
        self._signals = signals
        self.act = act
        self._lock = threading.Lock()
        self._over = False
        self._before = -1

    def __enter__(self) -> LastResort:
        if self._patience is not None and threading.current_thread() is threading.main_thread():
            reading, writing = os.pipe()
            os.set_blocking(writing, False)
            self._before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
            # A process that is forked from this one must not write to it.
            os.register_at_fork(after_in_child=_forget)
            threading.Thread(target=self._wait, args=(reading, self._patience), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stand_down()

    def stand_down(self) -> None:
        """The main thread takes care of the rest. Where `act` is under way already, the process ends meanwhile."""
        with self._lock:
            self._over = True

    def _wait(self, reading: int, patience: float) -> None:
        while not set(self._signals) & set(os.read(reading, 64)):
            pass
        time.sleep(patience)
        with self._lock:
            if self._over:
                return
            code: int | None = 3
            try:
                code = self.act()
            finally:
                if code is not None:
                    for stream in (sys.stdout, sys.stderr):
                        with suppress(Exception):
                            stream.flush()
                    os._exit(code)


def _forget() -> None:
    with suppress(ValueError):  # not in the main thread
        signal.set_wakeup_fd(-1)
