"""VehicleID: lists of `image pid` in train_test_split/, all images in image/, no cameras; no torch."""

from __future__ import annotations

from pathlib import Path

from reid_smoke.build.data.formats.files import images, is_image, lines_of, named
from reid_smoke.build.data.formats.found import JUNK, Found, NotThisLayout, Part, Reading
from reid_smoke.errors import DataError

# The smallest of the three test lists. The set has no queries: each image is sought among the others.
LISTS: dict[Part, str] = {"train": "train_list.txt", "gallery": "test_list_800.txt"}


def read_vehicleid(root: Path, part: Part) -> Reading | None:
    """The images of one part's list; None where there is none.

    Raises DataError: no list, no folder of images, a line that is not `image pid`, images that do not exist; OSError.
    """
    path = root / "train_test_split" / LISTS.get(part, "")
    if not path.is_file():
        if part != "train":
            return None
        raise NotThisLayout(root, "train_test_split/train_list.txt, beside the folder image")
    folder = root / "image"
    if not folder.is_dir():
        raise NotThisLayout(root, "the folder image with what train_test_split/train_list.txt lists")
    path_of = {entry.name.rpartition(".")[0]: entry.path for entry in images(folder)}
    found: list[Found] = []
    junk, missing = 0, []
    for number, line in lines_of(path):
        try:
            name, pid = line.split()
            who = int(pid)
        except ValueError:
            raise DataError(f"{path}:{number}: {line!r} is not an image and a pid, like '0151418 6421'") from None
        name = name.replace("\\", "/").rpartition("/")[2]
        if is_image(name):
            name = name.rpartition(".")[0]
        if name not in path_of:
            missing.append(name)
        elif who == JUNK:
            junk += 1
        else:
            found.append(Found(who, 0, path_of[name]))
    if missing:
        total = len(missing) + junk + len(found)
        raise DataError(
            f"{path}: {len(missing):,} of the {total:,} images that it lists are not in {folder}: {named(missing)}"
        )
    if not found:
        raise DataError(f"{path}: the list is empty")
    return Reading(found, junk)
