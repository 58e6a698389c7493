"""Image-text data sets: one JSON of entries, each an image with its captions; no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reid_smoke.build.data.formats.files import expect_files, named, path_in, text_of
from reid_smoke.build.data.formats.found import JUNK, Found, NotThisLayout, Part, Reading
from reid_smoke.errors import DataError

_CAMERA = re.compile(r"_c(\d+)|^\d+_\d+_(\d+)_")  # as Market-1501 and as MSMT17 name files
_SPLIT: dict[Part, str] = {"train": "train", "gallery": "test"}


@dataclass(frozen=True)
class CaptionedImages:
    """`file` holds `[{split, captions: [...], <path_key>, id}]`, and the paths are below imgs/."""

    file: str
    path_key: str

    def __call__(self, root: Path, part: Part) -> Reading | None:
        """The training pairs, an image once for each of its captions; or the test images, once each, as gallery.

        The id stays as it is in the file, 1-based in CUHK-PEDES: labels are made from sorted pids later.

        Raises DataError: no such file, no JSON, an entry without a key that is needed, captions that are empty, images
        that do not exist; OSError.
        """
        if part not in _SPLIT:
            return None
        path = root / self.file
        if not path.is_file():
            raise NotThisLayout(root, f"{self.file}, beside the folder imgs")
        images = root / "imgs"
        if not images.is_dir():
            raise NotThisLayout(root, f"the folder imgs with the images of {self.file}")
        found: list[Found] = []
        junk = 0
        uncaptioned: list[str] = []
        for name, entry in _entries(path, (self.path_key, "id", "captions", "split")):
            if entry["split"] != _SPLIT[part]:
                continue
            image, pid, captions = self._values(path, name, entry)
            if pid == JUNK:
                junk += 1
                continue
            if not all(caption.strip() for caption in captions) or not captions:
                uncaptioned.append(f"{name} ({image})")
            where, camera = path_in(str(images), image), _camera(image)
            for caption in captions if part == "train" else [None]:
                found.append(Found(pid, camera, where, caption))
        if uncaptioned:
            have = "entry has" if len(uncaptioned) == 1 else "entries have"
            raise DataError(f"{path}: {len(uncaptioned):,} {have} no caption, or an empty one: {named(uncaptioned)}")
        if not found:
            if part != "train":
                return None
            raise DataError(f"{path}: no entry is of split {_SPLIT[part]!r}")
        expect_files(dict.fromkeys(image.path for image in found), path)
        return Reading(found, junk)

    def _values(self, path: Path, name: str, entry: dict[str, Any]) -> tuple[str, int, list[str]]:
        image, pid, captions = entry[self.path_key], entry["id"], entry["captions"]
        if not isinstance(image, str):
            raise DataError(f"{path}: {name}: {self.path_key} is {image!r}, a path was looked for")
        if not isinstance(pid, int) or isinstance(pid, bool):
            raise DataError(f"{path}: {name}: id is {pid!r}, a whole number was looked for")
        if not isinstance(captions, list) or not all(isinstance(caption, str) for caption in captions):
            raise DataError(f"{path}: {name}: captions is {captions!r:.60}, a list of texts was looked for")
        return image, pid, captions


read_cuhk_pedes = CaptionedImages("reid_raw.json", "file_path")
read_icfg_pedes = CaptionedImages("ICFG-PEDES.json", "file_path")
read_rstp_reid = CaptionedImages("data_captions.json", "img_path")


def _entries(path: Path, keys: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each entry with what to call it: `entry 12 of 40206`."""
    try:
        content = json.loads(text_of(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    if not isinstance(content, list):
        raise DataError(f"{path}: a list of entries was looked for, and this is {type(content).__name__}")
    for number, entry in enumerate(content, start=1):
        name = f"entry {number} of {len(content)}"
        if not isinstance(entry, dict):
            raise DataError(f"{path}: {name} is {entry!r:.60}, and keys {', '.join(keys)} were looked for")
        missing = [key for key in keys if key not in entry]
        if missing:
            has = ", ".join(map(str, entry)) or "none"
            raise DataError(f"{path}: {name} has no key {', '.join(map(repr, missing))}; its keys are {has}")
        yield name, entry


def _camera(image: str) -> int:
    match = _CAMERA.search(image.replace("\\", "/").rpartition("/")[2])
    return int(match[1] or match[2]) if match else 0
