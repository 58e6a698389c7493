"""MSMT17: lists of `path pid`, and images that name their camera; versions 1 and 2 of the set; no torch."""

from __future__ import annotations

from pathlib import Path

from reid_smoke.build.data.formats.files import expect_files, lines_of, path_in
from reid_smoke.build.data.formats.found import JUNK, Found, NotThisLayout, Part, Reading
from reid_smoke.errors import DataError

# Training is train and val together, 1041 identities of 32,621 images, as the set's authors count them.
LISTS: dict[Part, tuple[str, ...]] = {
    "train": ("list_train.txt", "list_val.txt"),
    "query": ("list_query.txt",),
    "gallery": ("list_gallery.txt",),
}
FOLDERS = {"train": ("train", "mask_train_v2"), "test": ("test", "mask_test_v2")}  # of version 1, and of 2
_EXAMPLE = "0000/0000_000_01_0303morning_0015_0.jpg 0"


def read_msmt17(root: Path, part: Part) -> Reading | None:
    """The images of one part's lists; None where there is no such list.

    Raises DataError: no list or no folder of images, a line that is not `path pid`, images that do not exist; OSError.
    """
    lists = [root / name for name in LISTS[part] if (root / name).is_file()]
    if root / LISTS[part][0] not in lists:
        if part != "train":
            return None
        raise NotThisLayout(root, "list_train.txt, beside the folder train (or mask_train_v2, in version 2)")
    names = FOLDERS["train" if part == "train" else "test"]
    folder = next((root / name for name in names if (root / name).is_dir()), None)
    if folder is None:
        raise NotThisLayout(root, f"the images of {lists[0].name} in {names[0]} (or {names[1]}, in version 2)")
    found: list[Found] = []
    junk = 0
    for path in lists:
        listed = _read(path, str(folder))
        expect_files((image.path for image in listed), path)
        kept = [image for image in listed if image.pid != JUNK]
        junk += len(listed) - len(kept)
        found += kept
    return Reading(found, junk)


def _read(path: Path, folder: str) -> list[Found]:
    found: list[Found] = []
    for number, line in lines_of(path):
        try:
            image, pid = line.rsplit(maxsplit=1)
            camera = image.replace("\\", "/").rpartition("/")[2].split("_")[2]
            found.append(Found(int(pid), int(camera), path_in(folder, image)))
        except (ValueError, IndexError):
            raise DataError(
                f"{path}:{number}: {line!r} is not a path, with the camera third in its name, and a pid, "
                f"like {_EXAMPLE!r}"
            ) from None
    if not found:
        raise DataError(f"{path}: the list is empty")
    return found
