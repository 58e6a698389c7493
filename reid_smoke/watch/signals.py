"""Report before a signal ends the process, and let it end as it would have ended."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class LastWords:
    """A report that is given once: at the script's end, or before a signal that python dies of.

    A handler of theirs goes before ours, and processes forked from this one die plainly.
    """

    def __init__(
        self, report: Callable[[BaseException | None], int], interruptible: Callable[[], bool] = lambda: False
    ) -> None:
        """interruptible: whether the report is at something that a KeyboardInterrupt cuts short."""
        self._report = report
        self._interruptible = interruptible
        self._owner = os.getpid()
        self._speaking = False
        self._died_of: int | None = None
        self.said: Callable[[], None] = lambda: None  # called once the report was given

    def listen(self) -> None:
        for number in ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:  # nohup, or a parent, may want it ignored
                signal.signal(number, self._handle)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._stop_listening)

    @property
    def listens(self) -> bool:
        """SIGTERM is ours to answer, and no handler of theirs took it over."""
        return signal.getsignal(signal.SIGTERM) == self._handle

    def say(self, ended_by: BaseException | None) -> int:
        """The report, and the exit code that it asks for. A signal that comes while it is given waits for its end."""
        self._speaking = True
        with _deaf_to_children():
            code = self._report(ended_by)
            self.said()
            self._stop_listening()
            if self._died_of is not None:
                die_of(self._died_of)
        return code

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:
            die_of(number)
        self._died_of = number
        if not self._speaking:
            self.say(KeyboardInterrupt())
        elif self._interruptible():
            raise KeyboardInterrupt

    def _stop_listening(self) -> None:
        with suppress(ValueError):  # not in the main thread
            for number in ENDING:
                if signal.getsignal(number) == self._handle:
                    signal.signal(number, signal.SIG_DFL)


@contextmanager
def _deaf_to_children() -> Iterator[None]:
    """A signal to the whole group (timeout, Slurm, Ctrl-C) ends a DataLoader's workers, too, and torch's handler of
    SIGCHLD raises for each of them, wherever the main thread is: in the midst of a report."""
    number = getattr(signal, "SIGCHLD", None)
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    theirs = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        if theirs is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, theirs)


def die_of_from_a_thread(number: int) -> None:
    """The same from another thread than the main one, to which python gives no way of its own."""
    import ctypes

    ctypes.pythonapi.PyOS_setsig(number, 0)  # 0 is C's SIG_DFL
    os.kill(os.getpid(), number)


def die_of(number: int) -> None:
    """End this process by the signal itself, so that whoever waits for it sees the same as without us."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def die_of_interrupt() -> None:
    """What python does after an uncaught KeyboardInterrupt: its exit functions, its streams, then SIGINT."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    die_of(signal.SIGINT)
