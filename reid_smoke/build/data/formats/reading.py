"""A data set's folder and its format's name -> its images; and which formats a folder may be in; no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from reid_smoke.build.data.formats import csv_file, cuhk03, image_text, msmt17, named, vehicleid
from reid_smoke.build.data.formats.files import entries, folders, images
from reid_smoke.build.data.formats.found import NotThisLayout, Part, Reading
from reid_smoke.build.data.formats.image_folder import SPLITS, read_image_folder
from reid_smoke.errors import DataError

MOST_BELOW = 200  # folders that are looked into for data sets


class Format(NamedTuple):
    """One entry of `data.source`."""

    title: str
    read: Callable[[Path, Part], Reading | None]
    looks_for: str  # in a few words, for people
    recognises: Callable[[Path], bool]


class Recognised(NamedTuple):
    """A data set, and where it lies."""

    source: str
    root: Path

    @property
    def title(self) -> str:
        return FORMATS[self.source].title


def read(source: str, root: Path, part: Part) -> Reading | None:
    """One part of the data set at `root`; None where the set has no such part, which is never so of "train".

    Raises DataError: no such folder, an empty one, one in another layout, a list or an image missing.
    """
    try:
        if not root.is_dir() and not (source == "csv" and root.is_file()):
            raise DataError(f"data.root {root}: {'this is a file' if root.exists() else 'no such folder'}")
        if root.is_dir() and not any(entries(root)):
            raise DataError(f"data.root {root}: the folder is empty")
        try:
            return FORMATS[source].read(root, part)
        except NotThisLayout as error:
            raise DataError(str(error) + _advice(source, root)) from None
    except OSError as error:
        raise DataError(f"data.root {root}: {error.strerror or error}") from error


def recognise(root: Path) -> list[Recognised]:
    """The data sets at `root`: the one that it is, or else those that lie in it, or one folder below.

    Raises OSError.
    """
    if root.is_file():
        return [Recognised("csv", root)] if _is_csv(root) else []
    here = _source_of(root)
    if here is not None:
        return [Recognised(here, root)]
    below = [Path(entry.path) for entry in folders(root)]
    if len(below) > MOST_BELOW:  # nobody keeps so many data sets: these are identities
        below = []
    found = [Recognised(source, folder) for folder in below if (source := _source_of(folder)) is not None]
    if found:
        return found
    return [Recognised("image_folder", root)] if _is_image_folder(root) else []


def _source_of(root: Path) -> str | None:
    """The first format that recognises this very folder, one folder an identity left out: nearly anything may be."""
    specific = (source for source in FORMATS if source != "image_folder")
    return next((source for source in specific if FORMATS[source].recognises(root)), None)


def _advice(source: str, root: Path) -> str:
    """Where the data may be meant to be read from instead, as a sentence; empty when nothing near looks like it."""
    others = [other for other in recognise(root) if other != (source, root)]
    if not others:
        return ""
    other = others[0]
    if other.source == "image_folder":
        return ". This looks like one folder an identity: set data.source: image_folder"
    return f". {other.root} is in {other.title}'s layout: set data.source: {other.source} and data.root: {other.root}"


def _holds(*names: str) -> Callable[[Path], bool]:
    """Files or folders that must all be there; `a|b` is either."""

    def recognises(root: Path) -> bool:
        return all(any((root / each).exists() for each in name.split("|")) for name in names)

    return recognises


def _market(example: str = "", called: str = "") -> Callable[[Path], bool]:
    """Market-1501's folders with a first file name that holds `example`, below a folder `called` so."""

    def recognises(root: Path) -> bool:
        folder = root / named.MARKET_FOLDERS["train"]
        folder = folder if folder.is_dir() else root
        if folder.name != named.MARKET_FOLDERS["train"]:
            return False
        around = f"{root.absolute().parent.name}/{root.absolute().name}".lower()
        first = next(images(folder), None)
        return called in around and first is not None and example in first.name

    return recognises


def _cuhk03(root: Path) -> bool:
    kinds = [root] if root.name in cuhk03.BOXES else [root / boxes for boxes in cuhk03.BOXES]
    folders = any((kind / named.MARKET_FOLDERS["train"]).is_dir() for kind in kinds)
    return folders or cuhk03.split_file(root) is not None or _market(called="cuhk03")(root)


def _is_csv(path: Path) -> bool:
    try:
        return set(csv_file.NEEDED) <= set(csv_file.columns(path))
    except (OSError, DataError):
        return False


def _holds_csv(root: Path) -> bool:
    names = csv_file.csv_files(root)
    return (len(names) == 1 or "train.csv" in names) and any(_is_csv(root / name) for name in names)


def _is_image_folder(root: Path) -> bool:
    for folder in (root / "train", root):
        identities = folders(folder) if folder.is_dir() else []
        if identities and any(images(identities[0].path)):
            return identities[0].name.lower() not in SPLITS
    return False


_MARKET_LOOKS = "bounding_box_train/0002_c1s1_000451_03.jpg"
# Asked in this order: what is told by a file of its own comes before what is told by names, and that before the rest.
FORMATS: dict[str, Format] = {
    "cuhk_pedes": Format("CUHK-PEDES", image_text.read_cuhk_pedes, "reid_raw.json", _holds("reid_raw.json")),
    "icfg_pedes": Format("ICFG-PEDES", image_text.read_icfg_pedes, "ICFG-PEDES.json", _holds("ICFG-PEDES.json")),
    "rstp_reid": Format("RSTPReid", image_text.read_rstp_reid, "data_captions.json", _holds("data_captions.json")),
    "msmt17": Format(
        "MSMT17", msmt17.read_msmt17, "list_train.txt and train or mask_train_v2",
        _holds("list_train.txt", "train|mask_train_v2"),
    ),
    "vehicleid": Format(
        "VehicleID", vehicleid.read_vehicleid, "train_test_split/train_list.txt and image",
        _holds("train_test_split/train_list.txt"),
    ),
    "veri776": Format("VeRi-776", named.read_veri776, "image_train/0001_c001_00016450_0.jpg", _holds("image_train")),
    "cuhk03": Format(
        "CUHK03", cuhk03.read_cuhk03, "images_detected and splits_new_detected.json, or detected/bounding_box_train",
        _cuhk03,
    ),
    "occluded_duke": Format(
        "Occluded-Duke", named.read_dukemtmc, "DukeMTMC-reID's, in a folder called Occluded-Duke",
        _market("_f", called="occluded"),
    ),
    "dukemtmc": Format("DukeMTMC-reID", named.read_dukemtmc, "bounding_box_train/0001_c2_f0046182.jpg", _market("_f")),
    "market1501": Format("Market-1501", named.read_market1501, _MARKET_LOOKS, _market()),
    "csv": Format("CSV", csv_file.read_csv, "one CSV of path,pid,cam", _holds_csv),
    "image_folder": Format(
        "ImageFolder", read_image_folder, "one folder an identity, in train/ or in the folder itself", _is_image_folder
    ),
}  # fmt: skip
