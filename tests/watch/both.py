"""Run the same words once under `python` and once under `reid-smoke watch`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.warm import Warm

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = (sys.executable,)
WATCH = (str(Path(sys.executable).with_name("reid-smoke")), "watch")
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(REPOSITORY),
    "PYTHONUNBUFFERED": "",
    "COLUMNS": "200",
}


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Both:
    python: Ended
    watch: Ended

    def assert_same_output(self) -> None:
        """stdout to the letter, and stderr to the letter up to the report."""
        assert self.watch.out == self.python.out, f"{self.python.out}\n--- under watch:\n{self.watch.out}"
        assert self.watch.err.startswith(self.python.err), f"{self.python.err}\n--- under watch:\n{self.watch.err}"


def write(folder: Path, **files: str) -> None:
    for name, body in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(body).lstrip("\n"), encoding="utf-8")


def run(
    folder: Path, *command: str, stdin: str = "", environment: dict[str, str] | None = None, timeout: float = 120
) -> Ended:
    ended = subprocess.run(
        command,
        cwd=folder,
        input=stdin,
        env={**ENVIRONMENT, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Ended(ended.returncode, _without_addresses(ended.stdout), _without_addresses(ended.stderr))


def watch(warm: Warm, folder: Path, *words: str) -> Ended:
    """`reid-smoke watch *words`, where nothing depends on how Python starts and comes to torch."""
    ended = warm.run("reid_smoke", "watch", *words, cwd=folder, environment=ENVIRONMENT)
    return Ended(ended.returncode, _without_addresses(ended.stdout), _without_addresses(ended.stderr))


def run_both(folder: Path, *words: str, stdin: str = "", options: tuple[str, ...] = ()) -> Both:
    """`words`: what follows `python` and `reid-smoke watch OPTIONS`."""
    return Both(run(folder, *PYTHON, *words, stdin=stdin), run(folder, *WATCH, *options, *words, stdin=stdin))


def run_and_signal(folder: Path, number: signal.Signals, *command: str, at: str = "ready") -> Ended:
    """Send the signal once the program has said `at` on a line of stdout."""
    process = subprocess.Popen(
        command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    patience = threading.Timer(120, process.kill)
    patience.start()
    said = ""
    for line in process.stdout:
        said += line
        if line.strip() == at:
            break
    time.sleep(0.2)  # until it waits where it is to be found: on a busy machine it may still be saying so
    process.send_signal(number)
    out, err = process.communicate()
    patience.cancel()
    return Ended(process.returncode, said + out, err)


def _without_addresses(text: str) -> str:
    return re.sub(r"0x[0-9a-f]{6,}", "0x", text)
