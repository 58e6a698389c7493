"""What every reader hands on; no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from reid_smoke.build.data.formats.files import inventory
from reid_smoke.errors import DataError

JUNK = -1  # the pid of what is not one person; 0 is a pid like any other

Part = Literal["train", "query", "gallery"]


class Found(NamedTuple):
    """One image file, and what its name, its folder or a list says of it."""

    pid: int | str
    camera: int  # 0: not known
    path: str
    caption: str | None = None  # image-text sets hold an image once for each of its captions


class Reading(NamedTuple):
    """One part of a data set."""

    found: list[Found]
    junk: int = 0  # images of pid -1, left out
    empty: tuple[str, ...] = ()  # names of folders with nothing in them, among those of identities


class NotThisLayout(DataError):
    """A folder that is not in the layout it was said to be in. `reading` adds which one it may be in instead."""

    def __init__(self, root: Path, looked_for: str, folder: Path | None = None, remark: str = "") -> None:
        """`folder`: where it was looked for, if not in the root itself. `remark`: what is odd about what was found."""
        super().__init__(f"data.root {root}: looked for {looked_for}; found {inventory(folder or root)}{remark}")
