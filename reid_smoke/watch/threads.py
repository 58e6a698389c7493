"""Wait for the threads that python itself waits for before it ends: a training may run in one of them."""

from __future__ import annotations

import sys
import threading


def wait_for_threads() -> None:
    """Join every thread that is no daemon, but for the workers of pools, which only python's own end sends home."""
    pools = sys.modules.get("concurrent.futures.thread")
    for thread in threading.enumerate():
        if thread is threading.current_thread() or thread.daemon:
            continue
        if pools is not None and thread in getattr(pools, "_threads_queues", ()):
            continue
        thread.join()
