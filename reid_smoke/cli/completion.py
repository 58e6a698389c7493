"""What a shell may offer where a word is begun: faults by code and name, and the folders of runs; no torch.

Typer completes commands, options and their choices by itself, and leaves files to the shell.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reid_smoke.folder import is_run_folder


def faults(incomplete: str) -> list[tuple[str, str]]:
    """Codes and names that begin so, in capitals or not, each with its title; of nothing begun the codes alone."""
    from reid_smoke.checks.catalogue import catalogue

    return [
        (name, check.title)
        for check in catalogue()
        for name in ((check.code, check.code.lower(), check.slug) if incomplete else (check.code,))
        if name.startswith(incomplete)
    ]


def run_folders(incomplete: str) -> list[str]:
    """Folders of runs whose path begins so, and those that lie in a folder whose path does."""
    typed, _, begun = incomplete.rpartition("/")
    parent = Path(f"{typed}/") if "/" in incomplete else Path()
    return sorted({path for folder in _folders(parent, begun) for path in _runs(folder) if path.startswith(incomplete)})


def _folders(parent: Path, begun: str) -> Iterator[Path]:
    try:
        found = [path for path in parent.iterdir() if path.name.startswith(begun) and path.is_dir()]
    except OSError:
        return
    yield from found


def _runs(folder: Path) -> Iterator[str]:
    """The folder itself where it is a run's, or else those of runs in it."""
    runs = [folder] if is_run_folder(folder) else filter(is_run_folder, _folders(folder, ""))
    yield from map(str, runs)
