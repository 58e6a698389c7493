"""The folder of one run: `runs/<time>-<name>/` with facts.jsonl, config.yaml and the reports."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

from reid_smoke.errors import UsageError

FACTS, REPORT = "facts.jsonl", "report.json"  # one of them makes a folder a run's
PROCESSES = ".processes"  # what those wrote that a watched script has started, until its end
OF_AN_EARLIER_RUN = ("report.json", "report.html", "junit.xml", "config.yaml", "contact-sheet.jpg")


def make_run_folder(out: Path | None, name: str, config: str | None = None) -> Path:
    """Make `out`, or a fresh folder under `runs/`, and write config.yaml there.

    What an earlier run left in `out` is taken away: its report would stand beside the facts of this one. Raises
    UsageError where the folder cannot be written; what was made of it by then is taken away, too.
    """
    made: list[Path] = []
    folder = out
    try:
        folder = _make(out, made) if out is not None else _make_fresh(name, made)
        for file in OF_AN_EARLIER_RUN:
            (folder / file).unlink(missing_ok=True)
        shutil.rmtree(folder / PROCESSES, ignore_errors=True)
        _write(folder / "facts.jsonl", "", made)
        if config is not None:
            _write(folder / "config.yaml", config, made)
    except OSError as error:
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        raise UsageError(
            f"{folder or 'runs'}: cannot be written ({error.strerror}). Choose another folder with --out."
        ) from error
    return folder


def is_run_folder(path: Path) -> bool:
    """Whether there is anything of a run in it; False where nobody may look."""
    try:
        return any((path / name).exists() for name in (FACTS, REPORT))
    except OSError:
        return False


def _make_fresh(name: str, made: list[Path]) -> Path:
    """A folder that was not there before, also where several runs start in the same second."""
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    number = 1
    while True:
        folder = Path("runs") / (stem if number == 1 else f"{stem}-{number}")
        try:
            return _make(folder, made, fresh=True)
        except FileExistsError:
            if not folder.exists():  # it is `runs` that is there already, and is no folder
                raise
            number += 1


def _make(folder: Path, made: list[Path], *, fresh: bool = False) -> Path:
    """Make a folder and its parents, and add those that were missing to `made`, outermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for parent in reversed(missing[1:]):
        parent.mkdir(exist_ok=True)
        made.append(parent)
    folder.mkdir(exist_ok=not fresh)
    made += missing[:1]
    return folder


def _write(path: Path, text: str, made: list[Path]) -> None:
    if not path.exists():
        made.append(path)
    path.write_text(text, encoding="utf-8")
