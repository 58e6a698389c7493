"""Report before a signal ends the process, and let it end as it would have ended."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def report_on_death(report: Callable[[], object]) -> Callable[[], None]:
    """On a signal that python dies of, report first. Returns what takes that away again.

    A handler of theirs goes before ours, and processes forked from this one die plainly.
    """
    owner = os.getpid()

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            report()
        die_of(number)

    def undo() -> None:
        for number in ENDING:
            if signal.getsignal(number) is handle:
                signal.signal(number, signal.SIG_DFL)

    def in_a_fork() -> None:
        with suppress(ValueError):
            undo()

    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup, or a parent, may want it ignored
            signal.signal(number, handle)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=in_a_fork)
    return undo


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
