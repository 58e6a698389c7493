"""Build a small data set of real pedestrians in Market-1501's layout: ten people of OpenCV's sample video.

    python scripts/make_pets09.py vtest.avi vtest_people.csv data/pets09

The video is PETS 2009's S2.L1 as OpenCV ships it, 768x576 and 795 frames. Debian and Ubuntu have it:

    apt-get download opencv-doc
    dpkg-deb --fsys-tarfile opencv-doc_*.deb | tar x ./usr/share/doc/opencv-doc/examples/data/vtest.avi

The CSV holds hand-checked boxes, `frame,x,y,w,h,pid,cam,tracklet`, where cam numbers a person's appearances: there is
one camera. Reading the video needs one package more: pip install opencv-python-headless

Every fourth frame gives 847 crops of 64x128, named like 0001_c2s1_000451_25.jpg: pid, appearance, frame, tracklet.
Of each person's each appearance the first four fifths go to bounding_box_train; of what comes after them the first
crop goes to query and the others to bounding_box_test, so that no crop is tested that has its next frame in training.
All ten people are in both: ten identities are too few to keep some apart.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

VIDEO_SHA256 = "45cddc94"  # how it begins
EVERY = 4  # frames; the ones between show the same again
WIDTH, HEIGHT = 64, 128  # Market-1501's
FOLDERS = ("bounding_box_train", "query", "bounding_box_test")


class Box(NamedTuple):
    """A person in a frame; pixels."""

    frame: int
    x: int
    y: int
    w: int
    h: int
    pid: int
    cam: int
    tracklet: int

    @property
    def file_name(self) -> str:
        return f"{self.pid:04d}_c{self.cam}s1_{self.frame:06d}_{self.tracklet:02d}.jpg"


class Problem(Exception):
    """Something about the arguments; the message is for the user."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage="%(prog)s VIDEO BOXES OUT"
    )
    parser.add_argument("video", type=Path, metavar="VIDEO", help="vtest.avi")
    parser.add_argument("boxes", type=Path, metavar="BOXES", help="vtest_people.csv")
    parser.add_argument("out", type=Path, metavar="OUT", help="the data set's folder, which must not exist yet")
    arguments = parser.parse_args()
    try:
        counts = build(arguments.video, arguments.boxes, arguments.out)
    except (Problem, OSError) as error:
        sys.exit(f"make_pets09: {error}")
    print(f"{arguments.out}: " + ", ".join(f"{count} crops in {folder}" for folder, count in counts.items()))


def build(video: Path, boxes: Path, out: Path) -> dict[str, int]:
    """Write the data set to `out`, whole or not at all. Returns crops by folder. Raises Problem, OSError."""
    if out.exists():
        raise Problem(f"{out} exists already: remove it, or name another folder")
    _expect_the_video(video)
    wanted = read_boxes(boxes)
    folder_of = split(wanted)
    by_frame: dict[int, list[Box]] = defaultdict(list)
    for box in wanted:
        by_frame[box.frame].append(box)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as work:
        root = Path(work) / out.name
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True)
        for number, image in _frames(video, set(by_frame)):
            for box in by_frame.pop(number):
                _write_crop(image, box, root / folder_of[box] / box.file_name)
        if by_frame:
            raise Problem(f"{video}: frame {min(by_frame)} could not be decoded, and {len(by_frame) - 1} after it")
        root.rename(out)
    return {folder: list(folder_of.values()).count(folder) for folder in FOLDERS}


def read_boxes(path: Path) -> list[Box]:
    """The boxes of every EVERYth frame, in the file's order. Raises Problem."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        missing = [name for name in Box._fields if name not in (rows.fieldnames or [])]
        if missing:
            raise Problem(f"{path}: no column {', '.join(missing)}; looked for {','.join(Box._fields)}")
        boxes = []
        for row in rows:
            try:
                box = Box(**{name: int(row[name]) for name in Box._fields})
            except (TypeError, ValueError):
                raise Problem(f"{path}:{rows.line_num}: not eight whole numbers: {row}") from None
            if box.frame % EVERY == 0:
                boxes.append(box)
    return boxes


def split(boxes: list[Box]) -> dict[Box, str]:
    """The folder of each box, by time within each appearance of each person."""
    appearances: dict[tuple[int, int], list[Box]] = defaultdict(list)
    for box in boxes:
        appearances[box.pid, box.cam].append(box)
    folder_of: dict[Box, str] = {}
    for appearance in appearances.values():
        appearance.sort()
        held_out = len(appearance) // 5
        for place, box in enumerate(appearance, start=held_out - len(appearance)):  # the first held out is at 0
            folder_of[box] = FOLDERS[0] if place < 0 else FOLDERS[1] if place == 0 and held_out else FOLDERS[2]
    return folder_of


def _expect_the_video(path: Path) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if not digest.hexdigest().startswith(VIDEO_SHA256):
        raise Problem(
            f"{path} is not the video that the boxes belong to: its sha256 begins {digest.hexdigest()[:8]}, "
            f"and {VIDEO_SHA256} was looked for. See --help for where to get it"
        )


def _frames(path: Path, wanted: set[int]) -> Iterator[tuple[int, Any]]:
    """The wanted frames with their numbers, (H, W, 3) uint8 BGR each."""
    try:
        import cv2
    except ImportError:
        raise Problem("reading a video needs OpenCV: pip install opencv-python-headless") from None
    video = cv2.VideoCapture(str(path))
    try:
        number = 0
        while video.grab():
            if number in wanted:
                decoded, image = video.retrieve()
                if decoded:
                    yield number, image
            number += 1
    finally:
        video.release()


def _write_crop(image: Any, box: Box, path: Path) -> None:
    import cv2

    height, width = image.shape[:2]
    left, right = max(0, box.x), min(width, box.x + box.w)
    top, bottom = max(0, box.y), min(height, box.y + box.h)
    if left >= right or top >= bottom:
        raise Problem(f"the box of pid {box.pid} in frame {box.frame} lies outside the {width}x{height} picture")
    crop = cv2.resize(image[top:bottom, left:right], (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    if not cv2.imwrite(str(path), crop, [cv2.IMWRITE_JPEG_QUALITY, 95]):
        raise OSError(f"{path} could not be written")


if __name__ == "__main__":
    main()
