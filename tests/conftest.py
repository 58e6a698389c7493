from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a shell that has no job control; children would inherit it, and no test of Ctrl-C
    # could pass.
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup

ReidSmoke: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def reid_smoke(tmp_path: Path) -> ReidSmoke:
    """`reid_smoke("explain", "RS302")` runs the command in a process of its own, in an empty folder: `tmp_path`."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "reid_smoke", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
        )

    return run
