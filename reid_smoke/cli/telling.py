"""What `run`, `overfit` and `triage` say, and on which stream: the report on stdout, what happens on the way on stderr.

--quiet  nothing on the way, and of the report the verdict and the first cause
--json   report.json on stdout and nothing else: what models, libraries and workers print goes to stderr meanwhile
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TextIO

from rich.console import Console

from reid_smoke.cli.streams import stdout_kept
from reid_smoke.report.document import Report
from reid_smoke.report.json import to_json
from reid_smoke.report.terminal import render_briefly, render_terminal


class Telling:
    """A context manager around all of a command: from its first import of somebody's code to its last word."""

    def __init__(self, *, quiet: bool, json: bool) -> None:
        self._quiet, self._json = quiet, json
        self._open = ExitStack()
        self._stdout = sys.stdout
        self.progress: TextIO = sys.stderr  # for what happens on the way

    def __enter__(self) -> Telling:
        if self._quiet:
            self.progress = self._open.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        if self._json:
            self._stdout = self._open.enter_context(stdout_kept())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def tell(self, report: Report, folder: Path) -> None:
        """Raises OSError where stdout cannot be written."""
        if self._json:
            self._stdout.write(to_json(report))
            self._stdout.flush()
        elif self._quiet:
            render_briefly(report, Console())
        else:
            render_terminal(report, Console(), folder=folder)
