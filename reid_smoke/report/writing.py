"""The files that a run leaves: each written whole or not at all, and one that fails takes no other with it."""

from __future__ import annotations

import os
from pathlib import Path

from reid_smoke.errors import ReidSmokeError
from reid_smoke.ledger import Ledger
from reid_smoke.report.document import Report
from reid_smoke.report.formats import FORMATS
from reid_smoke.whole import whole

# Beside facts.jsonl and config.yaml, which are there from the start. What matters most comes first.
FILES = {"report.json": "json", "report.html": "html", "junit.xml": "junit"}


def write_reports(report: Report, ledger: Ledger, folder: Path) -> None:
    """Write every file of a run. Raises ReidSmokeError, when all were tried, naming those that could not be written;
    what stood in their place before is then untouched."""
    failed = []
    for name, format in FILES.items():
        try:
            write_whole(folder / name, FORMATS[format](report, ledger, folder))
        except ReidSmokeError as error:
            failed.append(str(error))
        except Exception as error:  # a fault of ours in one format; the others are still worth having
            failed.append(f"{folder / name}: a fault of reid-smoke: {type(error).__name__}: {error}. Please report it")
    if failed:
        raise ReidSmokeError("\n".join(failed))


KEPT = "The facts seen so far are kept; make room or name another folder, then run `reid-smoke report` on it."


def write_whole(path: Path, text: str, *, advice: str = KEPT) -> None:
    """Write a text file. Raises ReidSmokeError; what stood there before is then untouched."""
    try:
        # A file name that is no valid UTF-8 becomes an escape, which JSON knows.
        with whole(path) as beside, beside.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ReidSmokeError(
            f"{path}: the report could not be written ({error.strerror or error}). {advice}"
        ) from error
