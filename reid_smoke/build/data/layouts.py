"""The folder layouts in which ReID data sets come, and what to say of a folder in another one; no torch."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from reid_smoke.errors import DataError

JUNK = -1  # the pid of what is not one person; 0 is a pid like any other
TRAIN_FOLDER = "bounding_box_train"
EXAMPLE_NAME = "0002_c1s1_000451_03.jpg"
_NAME = re.compile(r"(-?\d+)_c(\d+)")
_CAMERA = re.compile(r"_c(\d+)")
_IMAGE = (".jpg", ".jpeg", ".png")
_SPLITS = {"train", "bounding_box_train", "bounding_box_test", "query", "gallery", "val", "test", "pytorch"}


class Found(NamedTuple):
    """One image file and what its name says."""

    pid: int | str
    camera: int
    path: str


def read_market1501(root: Path) -> tuple[list[Found], int]:
    """The training images of Market-1501's layout, by name, and how many junk images were left out.

    `root`: the folder that holds bounding_box_train, or that folder itself. Raises DataError, OSError.
    """
    train = root / TRAIN_FOLDER
    folder = train if train.is_dir() else root
    found: list[Found] = []
    junk, misnamed, misnamed_example = 0, 0, ""
    for entry in _images(folder):
        match = _NAME.match(entry.name)
        if match is None:
            misnamed += 1
            misnamed_example = misnamed_example or entry.name
        elif int(match[1]) == JUNK:
            junk += 1
        else:
            found.append(Found(int(match[1]), int(match[2]), entry.path))
    if found and misnamed:
        raise DataError(
            f"{folder}: {misnamed} of {misnamed + junk + len(found)} images are not named like {EXAMPLE_NAME}, "
            f"{misnamed_example} for one. Their identity is unknown: rename them or take them away"
        )
    if not found:
        if junk:
            raise DataError(f"{folder}: all {junk} images are junk (pid {JUNK}); an identity's images are needed")
        raise DataError(
            f"data.root {root}: looked for {TRAIN_FOLDER}/*.jpg named like {EXAMPLE_NAME}; found {_inventory(folder)}"
            + _advice(root)
        )
    return found, junk


def read_image_folder(root: Path) -> tuple[list[Found], int]:
    """The images of one folder an identity, in root/train or in root, and how many junk images were left out.

    Raises DataError, OSError.
    """
    train = root / "train"
    folder = train if train.is_dir() and any(e.is_dir() for e in entries(train)) else root
    found: list[Found] = []
    junk = 0
    splits: list[str] = []
    for identity in entries(folder):
        if not identity.is_dir():
            continue
        images = list(_images(identity.path))
        if images and identity.name.lower() in _SPLITS:
            splits.append(identity.name)
        elif identity.name == str(JUNK):
            junk += len(images)
        else:
            found += (Found(identity.name, _camera(image.name), image.path) for image in images)
    if splits or not found:
        # A split taken for an identity is how a training comes to show a loss of 0.0000 from the first step.
        taken = f" ({', '.join(splits)}: parts of a data set, not identities)" if splits else ""
        raise DataError(
            f"data.root {root}: looked for one folder an identity, in train/ or in the root itself, with images in "
            f"each; found {_inventory(folder)}{taken}" + _advice(root, but="image_folder")
        )
    return found, junk


def entries(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """What lies in a folder, by name. Hidden files, macOS's `._*` among them, and Windows' Thumbs.db do not count."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".") and entry.name != "Thumbs.db"]
    yield from sorted(visible, key=lambda entry: entry.name)


def _images(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    return (entry for entry in entries(folder) if entry.name.lower().endswith(_IMAGE))


def _camera(name: str) -> int:
    match = _CAMERA.search(name)
    return int(match[1]) if match else 0


def _inventory(folder: Path) -> str:
    """What a folder holds, in a few words: `3 folders: gallery, query, train and 2 files: a.txt, b.txt`."""
    folders = [entry.name for entry in entries(folder) if entry.is_dir()]
    files = [entry.name for entry in entries(folder) if not entry.is_dir()]
    parts = [_listing(kind, names) for kind, names in (("folder", folders), ("file", files)) if names]
    return " and ".join(parts) or "nothing"


def _listing(kind: str, names: list[str]) -> str:
    some = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return f"{len(names)} {kind}{'s' if len(names) != 1 else ''}: {some}"


def _advice(root: Path, but: str = "market1501") -> str:
    """Where the data may be meant to be read from instead, as a sentence; empty when nothing near looks like it."""
    for folder in (root, *(Path(entry.path) for entry in entries(root) if entry.is_dir())):
        if (folder / TRAIN_FOLDER).is_dir() and (folder != root or but != "market1501"):
            return f". {folder} is in Market-1501's layout: set data.source: market1501 and data.root: {folder}"
    if but != "image_folder":
        for folder in (root / "train", root):
            identities = [e for e in entries(folder) if e.is_dir()] if folder.is_dir() else []
            if identities and any(_images(identities[0].path)) and identities[0].name.lower() not in _SPLITS:
                return ". This looks like one folder an identity: set data.source: image_folder"
    return ""
