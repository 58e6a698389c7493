"""The report is given whole, whatever arrives meanwhile."""

from __future__ import annotations

import os
import signal
from types import FrameType

from reid_smoke.watch.signals import LastWords


def test_a_worker_that_dies_during_the_report_does_not_break_it() -> None:
    def handle(number: int, frame: FrameType | None) -> None:  # as torch's, for a DataLoader's workers
        raise RuntimeError("DataLoader worker is killed by signal: Terminated.")

    def report(ended_by: BaseException | None) -> int:
        os.kill(os.getpid(), signal.SIGCHLD)
        return 3

    before = signal.signal(signal.SIGCHLD, handle)
    try:
        assert LastWords(report).say(KeyboardInterrupt()) == 3
        assert signal.getsignal(signal.SIGCHLD) is handle
    finally:
        signal.signal(signal.SIGCHLD, before)
