from __future__ import annotations

import gc
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.warm import Warm

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a shell that has no job control; children would inherit it, and no test of Ctrl-C
    # could pass.
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup

# Each of some hundred processes would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

ReidSmoke: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True, scope="session")
def short_searches() -> None:
    """Each training is searched for in all that the garbage collector knows; what pytest and torch hold is known."""
    if "torch" in sys.modules:
        importlib.import_module("torch._dynamo")  # which the first optimizer imports: some 100 000 objects
    gc.collect()
    gc.freeze()


@pytest.fixture
def reid_smoke(warm: Warm, tmp_path: Path) -> ReidSmoke:
    """`reid_smoke("explain", "RS302")` runs the command in a process of its own, in an empty folder: `tmp_path`."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return warm.run("reid_smoke", *arguments, cwd=tmp_path)

    return run


@pytest.fixture
def reid_smoke_afresh(tmp_path: Path) -> ReidSmoke:
    """The same, where it matters that Python starts and torch is yet to be imported."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "reid_smoke", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
        )

    return run


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """`warm.run("reid_smoke", "run", ..., cwd=tmp_path)`: a process of its own, which has torch already."""
    server = Warm(tmp_path_factory.mktemp("warm"))
    yield server
    server.close()
