"""One small data set in each format, with the traps of real ones in it.

Each function writes its set below `root`, which must not exist, and returns what `data.root` should be. Every set has
the training identities named in `PIDS`: pid 0 is one of them where pids are numbers of its own choice, there are gaps,
and junk, upper-case endings, Windows' separators and macOS's `._` files wherever the format has a place for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from reid_smoke.build.data.formats.found import Part
from tests.build.data.folders import write_image

CAPTIONS = ["A woman in a red coat.", "She carries a bag, and looks down."]


def market1501(root: Path) -> Path:
    for part in ("bounding_box_train", "query", "bounding_box_test"):
        for name in (
            "0000_c1s1_000451_03.jpg",
            "0007_c2s1_000001_00.JPG",
            "0007_c6s3_000002_00.jpg",
            "1501_c3s1_1_1.png",
        ):
            write_image(root / part / name)
        write_image(root / part / "-1_c3s1_000001_00.jpg")
        _mac_and_windows(root / part, "0007_c1s1_000001_00.jpg")
    return root


def dukemtmc(root: Path) -> Path:
    for part in ("bounding_box_train", "query", "bounding_box_test"):
        for name in ("0000_c1_f0046182.jpg", "0007_c2_f0046182.JPG", "0007_c8_f0091802.jpg", "1501_c3_f0000001.jpg"):
            write_image(root / part / name)
        _mac_and_windows(root / part, "0007_c1_f0046183.jpg")
    return root


def occluded_duke(root: Path) -> Path:
    return dukemtmc(root / "Occluded_Duke")


def msmt17_v1(root: Path) -> Path:
    return _msmt17(root / "MSMT17_V1", "train", "test")


def msmt17_v2(root: Path) -> Path:
    return _msmt17(root / "MSMT17_V2", "mask_train_v2", "mask_test_v2")


def _msmt17(root: Path, train: str, test: str) -> Path:
    lists = {
        "list_train.txt": (
            train,
            ["0000/0000_000_01_0303morning_0015_0.jpg 0", r"0007\0007_001_02_0303noon_0016_0.JPG 7"],
        ),
        "list_val.txt": (
            train,
            ["0007/0007_002_15_0303noon_0017_0.jpg 7", "1501/1501_000_03_0303noon_0018_0.jpg 1501"],
        ),
        "list_query.txt": (test, ["0000/0000_000_01_0303morning_0001_0.jpg 0"]),
        "list_gallery.txt": (test, ["0000/0000_001_04_0303morning_0002_0.jpg 0", "0003/0003_000_05_x_0003_0.jpg 3"]),
    }
    for name, (folder, lines) in lists.items():
        for line in lines:
            write_image(root / folder / line.split()[0].replace("\\", "/"))
        (root / name).write_text("".join(f"{line}\r\n" for line in lines) + "\r\n")
    _mac_and_windows(root / train / "0007", "0007_001_02_0303noon_0016_0.jpg")
    return root


def cuhk03_np(root: Path) -> Path:
    return market1501(root / "cuhk03-np" / "detected").parent


def cuhk03_split(root: Path) -> Path:
    root = root / "cuhk03"
    names = {0: ["1_001_1_01.png"], 7: ["1_002_1_01.png", "2_002_2_02.PNG"], 1501: ["5_003_2_01.png"]}
    train = [[rf"C:\data\images_detected\{name}", pid, 0] for pid, each in names.items() for name in each]
    test = [[f"/home/them/images_detected/4_00{pid}_1_01.png", pid, 0] for pid in (8, 9)]
    for image, _, _ in (*train, *test):
        write_image(root / "images_detected" / image.replace("\\", "/").rpartition("/")[2])
    split = [{"train": train, "query": test[:1], "gallery": test, "num_train_pids": 3}]
    (root / "splits_new_detected.json").write_text(json.dumps(split))
    _mac_and_windows(root / "images_detected", "1_001_1_01.png")
    return root


def veri776(root: Path) -> Path:
    for part in ("image_train", "image_query", "image_test"):
        for name in (
            "0000_c001_00016450_0.jpg",
            "0007_c020_00016450_0.JPG",
            "0007_c002_00084280_0.jpg",
            "1501_c3_1_0.jpg",
        ):
            write_image(root / part / name)
        _mac_and_windows(root / part, "0007_c001_00016450_0.jpg")
    return root


def vehicleid(root: Path) -> Path:
    for name in ("0000001.jpg", "0000002.JPG", "0000003.jpg", "0000004.jpg", "0000005.jpg"):
        write_image(root / "image" / name)
    lists = root / "train_test_split"
    lists.mkdir()
    (lists / "train_list.txt").write_text("\ufeff0000001 0\r\n0000002 7\r\n0000003 7\r\n0000004 1501\r\n0000005 -1\r\n")
    (lists / "test_list_800.txt").write_text("0000004 3\n0000005 3\n")
    _mac_and_windows(root / "image", "0000002.jpg")
    return root


def image_folder(root: Path) -> Path:
    for part in ("train", "query", "gallery"):
        for name in ("0000/a_c3.jpg", "0007/b.JPG", "0007/c_c1.png", "1501/d.jpg", "-1/junk.jpg"):
            write_image(root / part / name)
        _mac_and_windows(root / part / "0007", "b.jpg")
    return root


def csv(root: Path) -> Path:
    rows = ["a/1.jpg,0,north", r"a\2.JPG,7,south", '"b/3, or 4.png",7,north', "b/5.jpg,1501,", "b/6.jpg,-1,north"]
    for name in ("a/1.jpg", "a/2.JPG", "b/3, or 4.png", "b/5.jpg", "b/6.jpg"):
        write_image(root / name)
    for file in ("train.csv", "query.csv", "gallery.csv"):
        (root / file).write_text("\ufeffpath,pid,cam\r\n" + "".join(f"{row}\r\n" for row in rows), encoding="utf-8")
    _mac_and_windows(root, "train.csv")
    return root


def cuhk_pedes(root: Path) -> Path:
    return _captioned(root, "reid_raw.json", "file_path", first=1)


def icfg_pedes(root: Path) -> Path:
    return _captioned(root, "ICFG-PEDES.json", "file_path", first=0)


def rstp_reid(root: Path) -> Path:
    return _captioned(root, "data_captions.json", "img_path", first=0)


def _captioned(root: Path, file: str, path_key: str, first: int) -> Path:
    """`first`: the smallest id; CUHK-PEDES counts from 1, the others from 0."""
    images = [
        ("CUHK03/0000_c1_1.jpg", first, "train"), (r"train_query\p7_s1.JPG", 7, "train"),
        ("0007_002_15_0303noon_0017_0.jpg", 7, "train"), ("x/y.png", 1501, "train"), ("x/junk.png", -1, "train"),
        ("test_query/8_a.jpg", 8, "test"), ("test_query/8_b.jpg", 8, "test"), ("val/9.jpg", 9, "val"),
    ]  # fmt: skip
    entries = []
    for path, pid, split in images:
        write_image(root / "imgs" / path.replace("\\", "/"))
        entries.append({"split": split, "captions": CAPTIONS, path_key: path, "processed_tokens": [], "id": pid})
    (root / file).write_text(json.dumps(entries))
    _mac_and_windows(root / "imgs" / "x", "y.png")
    return root


def _mac_and_windows(folder: Path, name: str) -> None:
    (folder / f"._{name}").write_bytes(b"what macOS leaves on other people's disks")
    (folder / "Thumbs.db").write_bytes(b"and Windows")


# source, the set, training pids, its images, cameras, junk, images of query and of gallery (None: no such part)
Counts = tuple[list[int | str], int, list[int], int, int | None, int | None]
SETS: dict[str, tuple[str, Callable[[Path], Path], Counts]] = {
    "market1501": ("market1501", market1501, ([0, 7, 1501], 4, [1, 2, 3, 6], 1, 4, 4)),
    "dukemtmc": ("dukemtmc", dukemtmc, ([0, 7, 1501], 4, [1, 2, 3, 8], 0, 4, 4)),
    "occluded_duke": ("occluded_duke", occluded_duke, ([0, 7, 1501], 4, [1, 2, 3, 8], 0, 4, 4)),
    "msmt17_v1": ("msmt17", msmt17_v1, ([0, 7, 1501], 4, [1, 2, 3, 15], 0, 1, 2)),
    "msmt17_v2": ("msmt17", msmt17_v2, ([0, 7, 1501], 4, [1, 2, 3, 15], 0, 1, 2)),
    "cuhk03_np": ("cuhk03", cuhk03_np, ([0, 7, 1501], 4, [1, 2, 3, 6], 1, 4, 4)),
    "cuhk03_split": ("cuhk03", cuhk03_split, ([0, 7, 1501], 4, [1, 2], 0, 1, 2)),
    "veri776": ("veri776", veri776, ([0, 7, 1501], 4, [1, 2, 3, 20], 0, 4, 4)),
    "vehicleid": ("vehicleid", vehicleid, ([0, 7, 1501], 4, [0], 1, None, 2)),
    "image_folder": ("image_folder", image_folder, (["0000", "0007", "1501"], 4, [0, 1, 3], 1, 4, 4)),
    "csv": ("csv", csv, ([0, 7, 1501], 4, [0, 1, 2], 1, 4, 4)),
    "cuhk_pedes": ("cuhk_pedes", cuhk_pedes, ([1, 7, 1501], 8, [0, 1, 15], 1, None, 2)),
    "icfg_pedes": ("icfg_pedes", icfg_pedes, ([0, 7, 1501], 8, [0, 1, 15], 1, None, 2)),
    "rstp_reid": ("rstp_reid", rstp_reid, ([0, 7, 1501], 8, [0, 1, 15], 1, None, 2)),
}
PARTS: tuple[Part, ...] = ("query", "gallery")
