"""Stdout for what machines read: in UTF-8, and where that is all that may stand there, kept from everybody else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


def print_document(text: str) -> None:
    """JSON, XML and Markdown are UTF-8 wherever they go, also where a terminal's own encoding is a legacy one. A file
    name that is no valid UTF-8 becomes an escape, which JSON knows."""
    stream = sys.stdout
    stream.flush()
    stream.buffer.write(text.encode("utf-8", "backslashreplace"))
    stream.buffer.flush()


@contextmanager
def stdout_kept() -> Iterator[TextIO]:
    """The stdout that a reader waits at, while everything else that is written to it, by C code and by processes
    started from here as well, goes to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(kept, "w", encoding="utf-8", errors="backslashreplace", closefd=False) as stdout:
            yield stdout
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
