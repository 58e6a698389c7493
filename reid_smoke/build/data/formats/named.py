"""Data sets whose file names say who is seen by which camera: Market-1501 and those that took after it; no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reid_smoke.build.data.formats.files import images
from reid_smoke.build.data.formats.found import JUNK, Found, NotThisLayout, Part, Reading
from reid_smoke.errors import DataError

NAME = re.compile(r"(-?\d+)_c(\d+)")  # 0002_c1s1_000451_03, 0001_c2_f0046182, 0001_c001_00016450_0; -1 is junk

MARKET_FOLDERS: Mapping[Part, str] = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
VERI_FOLDERS: Mapping[Part, str] = {"train": "image_train", "query": "image_query", "gallery": "image_test"}


@dataclass(frozen=True)
class NamedFolders:
    """A folder for each part, and in it images named like `example`."""

    example: str
    folders: Mapping[Part, str]

    def __call__(self, root: Path, part: Part) -> Reading | None:
        """The images of one part, by name; None where there is no folder of them, or nothing in it.

        `root`: the folder that holds them all, or the training images' own. Raises DataError, OSError.
        """
        folder = root / self.folders[part]
        if part == "train" and not folder.is_dir():
            folder = root
        elif part != "train" and root.name == self.folders["train"]:
            folder = root.parent / self.folders[part]
        if not folder.is_dir():
            return None
        found: list[Found] = []
        junk, misnamed, misnamed_example = 0, 0, ""
        for entry in images(folder):
            match = NAME.match(entry.name)
            if match is None:
                misnamed += 1
                misnamed_example = misnamed_example or entry.name
            elif int(match[1]) == JUNK:
                junk += 1
            else:
                found.append(Found(int(match[1]), int(match[2]), entry.path))
        if found and misnamed:
            raise DataError(
                f"{folder}: {misnamed} of {misnamed + junk + len(found)} images are not named like {self.example}, "
                f"{misnamed_example} for one. Their identity is unknown: rename them or take them away"
            )
        if not found and part != "train":
            return None
        if not found and junk:
            raise DataError(f"{folder}: all {junk} images are junk (pid {JUNK}); an identity's images are needed")
        if not found:
            raise NotThisLayout(root, f"{self.folders['train']}/*.jpg named like {self.example}", folder)
        return Reading(found, junk)


read_market1501 = NamedFolders("0002_c1s1_000451_03.jpg", MARKET_FOLDERS)
read_dukemtmc = NamedFolders("0001_c2_f0046182.jpg", MARKET_FOLDERS)
read_veri776 = NamedFolders("0001_c001_00016450_0.jpg", VERI_FOLDERS)
