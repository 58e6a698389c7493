"""A CSV of `path,pid,cam` with a header; paths are relative to its own folder; no torch."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from reid_smoke.build.data.formats.files import entries, expect_files, path_in, text_of
from reid_smoke.build.data.formats.found import JUNK, Found, NotThisLayout, Part, Reading
from reid_smoke.errors import DataError

NEEDED = ("path", "pid")  # cam may be left out, further columns are read over


def read_csv(root: Path, part: Part) -> Reading | None:
    """The images that a CSV lists: `root` itself, or the one CSV in it, or the one called train.csv. query.csv and
    gallery.csv are looked for beside it. None where there is no CSV of that part.

    Pids that are all whole numbers are numbers; else they are names. Cameras that are not are numbered by name.

    Raises DataError: no CSV or several, a column missing, a row without pid or path, images that do not exist; OSError.
    """
    folder = root if root.is_dir() else root.parent
    if part != "train":
        path = folder / f"{part}.csv"
        return _read(path) if path.is_file() else None
    return _read(root if root.is_file() else _the_csv_in(root))


def csv_files(folder: Path) -> list[str]:
    """The CSVs that may be trained on, by name."""
    names = [entry.name for entry in entries(folder) if entry.name.lower().endswith(".csv") and entry.is_file()]
    return [name for name in names if name.lower() not in ("query.csv", "gallery.csv")]


def columns(path: Path) -> list[str]:
    """The header's names, in lower case. Raises DataError, OSError."""
    first = text_of(path).partition("\n")[0].rstrip("\r")
    return [name.strip().lower() for name in next(csv.reader([first], delimiter=_delimiter(first)), [])]


def _the_csv_in(root: Path) -> Path:
    names = csv_files(root)
    if "train.csv" in names:
        return root / "train.csv"
    if len(names) == 1:
        return root / names[0]
    several = f" ({len(names)} of them: set data.root to the one that is meant)" if names else ""
    raise NotThisLayout(root, "one CSV of path,pid,cam, or one called train.csv", remark=several)


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)  # the comma where there is none of them


def _read(path: Path) -> Reading:
    text = text_of(path)
    names = columns(path)
    missing = [name for name in NEEDED if name not in names]
    if missing:
        header = ",".join(names) or "empty"
        raise DataError(f"{path}:1: no column {', '.join(missing)}: path,pid,cam was looked for; found {header}")
    rows = csv.reader(StringIO(text, newline=""), delimiter=_delimiter(text.partition("\n")[0]))
    next(rows)
    listed: list[tuple[str, str, str]] = []
    for row in rows:
        if not any(row):
            continue
        cells = dict(zip(names, map(str.strip, row), strict=False))
        image, pid, cam = (cells.get(name, "") for name in ("path", "pid", "cam"))
        if not image or not pid:
            raise DataError(f"{path}:{rows.line_num}: no {'pid' if image else 'path'} in {','.join(row)!r}")
        listed.append((image, pid, cam))
    if not listed:
        raise DataError(f"{path}: no row below the header")
    kept = [row for row in listed if row[1] != str(JUNK)]
    if not kept:
        raise DataError(f"{path}: all {len(listed)} images are junk (pid {JUNK}); an identity's images are needed")
    pids, cameras = _numbers([pid for _, pid, _ in kept]), _numbered([cam for _, _, cam in kept])
    folder = str(path.parent)
    paths = [path_in(folder, image) for image, _, _ in kept]
    found = [Found(pid, cam, image) for pid, cam, image in zip(pids, cameras, paths, strict=True)]
    expect_files((image.path for image in found), path)
    return Reading(found, len(listed) - len(kept))


def _numbers(texts: list[str]) -> Sequence[int | str]:
    try:
        return [int(text) for text in texts]
    except ValueError:
        return texts


def _numbered(names: list[str]) -> list[int]:
    """Cameras as numbers: as they are, or their places among the sorted names; 0 where the cell is empty."""
    try:
        return [int(name or 0) for name in names]
    except ValueError:
        place = {name: number for number, name in enumerate(sorted(set(names) - {""}), start=1)}
        return [place.get(name, 0) for name in names]
