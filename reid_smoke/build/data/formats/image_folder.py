"""One folder an identity, as torchvision's ImageFolder has them; no torch."""

from __future__ import annotations

import re
from pathlib import Path

from reid_smoke.build.data.formats.files import entries, folders, images
from reid_smoke.build.data.formats.found import JUNK, Found, NotThisLayout, Part, Reading

# What a part's folder may be called; where there is no query, each image of the gallery is sought among the others.
PARTS: dict[Part, tuple[str, ...]] = {"train": ("train",), "query": ("query",), "gallery": ("gallery", "test", "val")}
SPLITS = {
    "train", "train_all", "bounding_box_train", "bounding_box_test", "query", "gallery", "val", "test", "pytorch",
    "image_train", "image_query", "image_test",
}  # fmt: skip
_CAMERA = re.compile(r"_c(\d+)")


def read_image_folder(root: Path, part: Part) -> Reading | None:
    """The images of one folder an identity: to train on in root/train or in root, the other parts beside them.

    None where there is no folder of that part. Raises DataError, OSError.
    """
    folder = next((root / name for name in PARTS[part] if (root / name).is_dir() and folders(root / name)), None)
    if folder is None:
        if part != "train":
            return None
        folder = root
    found: list[Found] = []
    junk = 0
    splits: list[str] = []
    empty: list[str] = []
    for identity in folders(folder):
        inside = list(images(identity.path))
        if inside and identity.name.lower() in SPLITS:
            splits.append(identity.name)
        elif identity.name == str(JUNK):
            junk += len(inside)
        elif not any(entries(identity.path)):
            empty.append(identity.name)
        else:
            found += (Found(identity.name, _camera(image.name), image.path) for image in inside)
    if splits or not found:
        # A split taken for an identity is how a training comes to show a loss of 0.0000 from the first step.
        taken = f" ({', '.join(splits)}: parts of a data set, not identities)" if splits else ""
        looked_for = "one folder an identity, in train/ or in the root itself, with images in each"
        raise NotThisLayout(root, looked_for, folder, taken)
    return Reading(found, junk, tuple(empty))


def _camera(name: str) -> int:
    match = _CAMERA.search(name)
    return int(match[1]) if match else 0
