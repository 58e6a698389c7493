"""The folder of one run: `runs/<time>-<name>/` with facts.jsonl, report.json and config.yaml."""

from __future__ import annotations

import time
from pathlib import Path

from reid_smoke.errors import UsageError


def make_run_folder(out: Path | None, name: str) -> Path:
    """Make `out`, or a fresh folder under `runs/`. Raises UsageError where it cannot be written."""
    folder = out if out is not None else _fresh(name)
    probe = folder / "facts.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.open("a", encoding="utf-8").close()
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be written ({error.strerror}). Choose another folder with --out."
        ) from error
    return folder


def _fresh(name: str) -> Path:
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    candidates = [Path("runs") / stem, *(Path("runs") / f"{stem}-{i}" for i in range(2, 1000))]
    return next(folder for folder in candidates if not folder.exists())
