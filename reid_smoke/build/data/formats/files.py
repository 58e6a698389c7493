"""Folders, lists and paths as people's disks hold them; no torch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from reid_smoke.errors import DataError

IMAGE = (".jpg", ".jpeg", ".png", ".bmp")


def entries(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """What lies in a folder, by name. Hidden files, macOS's `._*` among them, and Windows' Thumbs.db do not count."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".") and entry.name != "Thumbs.db"]
    yield from sorted(visible, key=lambda entry: entry.name)


def images(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    return (entry for entry in entries(folder) if is_image(entry.name))


def is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE)


def folders(folder: Path | str) -> list[os.DirEntry[str]]:
    return [entry for entry in entries(folder) if entry.is_dir()]


def inventory(folder: Path) -> str:
    """What a folder holds, in a few words: `3 folders: gallery, query, train and 2 files: a.txt, b.txt`."""
    names: dict[str, list[str]] = {"folder": [], "file": []}
    for entry in entries(folder):
        names["folder" if entry.is_dir() else "file"].append(entry.name)
    return " and ".join(_listing(kind, some) for kind, some in names.items() if some) or "nothing"


def text_of(path: Path) -> str:
    """A text file's content, without the byte order mark that Windows puts first. Raises DataError, OSError."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: not UTF-8 text: save it as UTF-8") from None


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """A list's lines with their numbers, from 1; empty ones do not count. Raises DataError, OSError."""
    for number, line in enumerate(text_of(path).split("\n"), start=1):
        if line.strip():
            yield number, line.strip()


def named(paths: list[str], most: int = 3) -> str:
    """`a, b, c, ...`"""
    return ", ".join(paths[:most]) + (", ..." if len(paths) > most else "")


def path_in(folder: str, written: str) -> str:
    """A path as a list has it, with `/` or with Windows' `\\`, in the folder that it is relative to."""
    return os.path.join(folder, written.replace("\\", "/"))  # noqa: PTH118  # a hundred thousand of them: Path is slow


def expect_files(paths: Iterable[str], listed_in: Path) -> None:
    """Raises DataError where files are missing: how many, and the first three.

    A folder is listed once, which is ten times quicker than asking for each of its files.
    """
    names: dict[str, set[str]] = {}
    total, missing = 0, []
    for path in paths:
        total += 1
        folder, _, name = path.rpartition("/")
        if folder not in names:
            names[folder] = _names(folder)
        # Where case does not matter to the file system, the listing may know the file by another one.
        if name not in names[folder] and not os.path.exists(path):  # noqa: PTH110
            missing.append(path)
    if missing:
        raise DataError(
            f"{listed_in}: {len(missing):,} of the {total:,} images that it lists do not exist: {named(missing)}. "
            "Is the data set unpacked as a whole, and does data.root name the right folder?"
        )


def _names(folder: str) -> set[str]:
    try:
        return set(os.listdir(folder or "."))  # noqa: PTH208
    except OSError:
        return set()


def _listing(kind: str, names: list[str]) -> str:
    return f"{len(names)} {kind}{'s' if len(names) != 1 else ''}: {named(names, most=4)}"
