"""Say a sentence on a stream on which somebody else may be drawing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO


def sayer(stream: TextIO) -> Callable[[str], None]:
    def say(sentence: str) -> None:
        """A line above whatever bar of theirs is being drawn. A stream that broke says nothing."""
        # tqdm's lock would settle multiprocessing's start method: it is touched only where they draw with it.
        bars = getattr(sys.modules.get("tqdm"), "tqdm", None)
        write = bars.write if bars is not None and getattr(bars, "_instances", None) else print
        with suppress(OSError, ValueError):
            write(f"reid-smoke: {sentence}", file=stream)
            stream.flush()

    return say
