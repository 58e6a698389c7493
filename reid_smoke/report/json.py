"""report.json: the document itself, whole or not at all."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path

from reid_smoke.errors import ReidSmokeError
from reid_smoke.report.document import Report

# A point of the curve over four lines. A string holds no bare line break, so this never touches one.
_POINT = re.compile(r"\[\n\s+([^\s\[\],]+),\n\s+([^\s\[\],]+)\n\s+\]")


def to_json(report: Report) -> str:
    """The document as strict JSON, indented, a pair a line."""
    text = json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
    return _POINT.sub(r"[\1, \2]", text) + "\n"


def write_json(report: Report, path: Path) -> None:
    """Write the document to `path`. Raises ReidSmokeError; what stood there before is then untouched."""
    # Beside the target, not in the system's temporary folder: a rename is atomic only within one disk.
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # A file name that is no valid UTF-8 becomes an escape, which JSON knows.
        with beside.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(to_json(report))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise ReidSmokeError(
            f"{path}: the report could not be written ({error.strerror or error}). "
            "The facts seen so far are kept; make room or name another folder, then run `reid-smoke report` on it."
        ) from error
