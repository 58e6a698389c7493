"""CUHK03 in the new protocol (767 identities to train on), as images; no torch.

Two layouts are about. CUHK03-NP has Market-1501's folders and names below `detected` and `labeled`. What torchreid and
fast-reid make of the .mat file is `images_detected/1_001_1_01.png` with `splits_new_detected.json` beside it, and the
same for labeled.
"""

from __future__ import annotations

import json
from pathlib import Path

from reid_smoke.build.data.formats.files import expect_files, text_of
from reid_smoke.build.data.formats.found import JUNK, Found, NotThisLayout, Part, Reading
from reid_smoke.build.data.formats.named import MARKET_FOLDERS, NamedFolders
from reid_smoke.errors import DataError

BOXES = ("detected", "labeled")  # the first is what is taken where nothing is said: it is what a detector would give
_read_folders = NamedFolders("0001_c1_0001.png", MARKET_FOLDERS)


def read_cuhk03(root: Path, part: Part) -> Reading | None:
    """The images of one part of the new protocol.

    `root`: the data set's folder, or the one of its kinds of boxes: `detected`, `images_labeled`.

    Raises DataError: neither layout, a split that is none, images that do not exist; OSError.
    """
    for folder in (root, *(root / boxes for boxes in BOXES)):
        if folder.name == MARKET_FOLDERS["train"] or (folder / MARKET_FOLDERS["train"]).is_dir():
            return _read_folders(folder, part)
    split = split_file(root)
    if split is None:
        raise NotThisLayout(
            root,
            "detected/bounding_box_train (CUHK03-NP), or images_detected with splits_new_detected.json beside it "
            "(as torchreid makes them of the .mat file)",
        )
    return _read_split(split, part)


def split_file(root: Path) -> Path | None:
    """The new protocol's split of the images in `root`, or of those that `root` is."""
    for boxes in BOXES:
        for home in (root, root.parent if root.name == f"images_{boxes}" else root):
            path = home / f"splits_new_{boxes}.json"
            if path.is_file() and (home / f"images_{boxes}").is_dir() and (home == root or boxes in root.name):
                return path
    return None


def _read_split(path: Path, part: Part) -> Reading:
    try:
        split = json.loads(text_of(path))
        split = split[0] if isinstance(split, list) else split  # the new protocol is one split, kept in a list
        # The paths are those of the machine on which the images were made; their names are enough.
        images = [(str(name).replace("\\", "/").rpartition("/")[2], int(pid)) for name, pid, _ in split[part]]
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    except KeyError:
        raise DataError(f"{path}: the split has no key {part!r}; it has {', '.join(split) or 'none'}") from None
    except (TypeError, ValueError, IndexError):
        raise DataError(f"{path}: {part} should be a list of [path, pid, camera]") from None
    folder = path.with_name(path.stem.replace("splits_new", "images"))
    found: list[Found] = []
    for name, pid in images:
        fields = name.split("_")  # camera pair, pid, view, image: of a pair's two cameras, the view is which
        if len(fields) != 4 or not fields[2].isdecimal():
            raise DataError(f"{path}: {name} is not named like 1_001_1_01.png: the camera is unknown")
        if pid != JUNK:
            found.append(Found(pid, int(fields[2]), f"{folder}/{name}"))
    expect_files((image.path for image in found), path)
    if not found:
        raise DataError(f"{path}: {part} is empty")
    return Reading(found, len(images) - len(found))
