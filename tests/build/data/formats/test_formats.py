"""Every format reads its set as it should be read, is recognised for what it is, and says what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_smoke.build.data.formats.found import Part
from reid_smoke.build.data.formats.named import NAME
from reid_smoke.build.data.formats.reading import FORMATS, read, recognise
from reid_smoke.build.data.training_set import open_part, open_training_set
from reid_smoke.config.schema import EMBEDDED, DataConfig, Source
from reid_smoke.errors import DataError
from tests.build.data.folders import write_image
from tests.build.data.formats import sets

each_set = pytest.mark.parametrize("name", sets.SETS)


def test_every_source_has_a_format_and_a_set() -> None:
    assert set(get_args(Source)) == {*FORMATS, *EMBEDDED}
    assert {source for source, _, _ in sets.SETS.values()} == set(FORMATS)


@each_set
def test_a_set_is_read_with_all_its_traps(tmp_path: Path, name: str) -> None:
    source, write, (pids, images, cameras, junk, *parts) = sets.SETS[name]
    config = DataConfig(source=source, root=write(tmp_path / "data"))  # type: ignore[arg-type]
    training_set = open_training_set(config)
    assert list(training_set.pids) == pids
    assert len(training_set) == images
    assert sorted({sample.camera for sample in training_set.samples}) == cameras
    assert training_set.junk_dropped == junk
    assert {sample.label for sample in training_set.samples} == {0, 1, 2}
    assert all(training_set.image(index).shape == (48, 24, 3) for index in range(images))
    captions = [sample.caption for sample in training_set.samples]
    assert captions == (sets.CAPTIONS * 4 if images == 8 else [None] * 4)
    for part, expected in zip(sets.PARTS, parts, strict=True):
        there = open_part(config, part)
        assert (None if there is None else len(there)) == expected
        assert there is None or all(there.image(index).shape == (48, 24, 3) for index in range(len(there)))


@each_set
def test_a_set_is_recognised_and_so_is_its_parent(tmp_path: Path, name: str) -> None:
    source, write, _ = sets.SETS[name]
    root = write(tmp_path / "data")
    assert [found.source for found in recognise(root)] == [source]
    if source != "image_folder":  # one folder up, nearly any folder would look like one
        assert [found.source for found in recognise(root.parent)] == [source]


@each_set
def test_read_as_another_format_it_says_which_one_it_is(tmp_path: Path, name: str) -> None:
    source, write, _ = sets.SETS[name]
    other = "vehicleid" if source != "vehicleid" else "msmt17"
    with pytest.raises(DataError) as error:
        read(other, write(tmp_path / "data"), "train")
    assert "looked for" in str(error.value)
    assert f"set data.source: {source}" in str(error.value)
    assert error.value.exit_code == 2


def test_two_sets_in_one_folder_are_both_named(tmp_path: Path) -> None:
    sets.veri776(tmp_path / "VeRi")
    sets.rstp_reid(tmp_path / "RSTPReid")
    assert [found.source for found in recognise(tmp_path)] == ["rstp_reid", "veri776"]


def test_a_folder_of_anything_is_no_data_set(tmp_path: Path) -> None:
    write_image(tmp_path / "holidays" / "2020" / "beach.jpg")
    (tmp_path / "prices.csv").write_text("article,price\nbread,3\n")
    assert recognise(tmp_path) == []


def change_json(file: str, change: Callable[[list[dict[str, object]]], object]) -> Callable[[Path], object]:
    def apply(root: Path) -> None:
        entries = json.loads((root / file).read_text())
        change(entries)
        (root / file).write_text(json.dumps(entries))

    return apply


def change_text(file: str, old: str, new: str) -> Callable[[Path], object]:
    return lambda root: (root / file).write_text((root / file).read_text(encoding="utf-8-sig").replace(old, new))


def unlink(pattern: str) -> Callable[[Path], object]:
    return lambda root: [path.unlink() for path in list(root.rglob(pattern)) if path.is_file()]


BROKEN: dict[str, tuple[str, Callable[[Path], object], list[str]]] = {
    "list without the pid": (
        "msmt17_v1",
        change_text("list_train.txt", " 0\n", "\n"),
        ["list_train.txt:1: '0000/0000_000_01_", "pid"],
    ),
    "list without the camera": (
        "msmt17_v1",
        change_text("list_val.txt", "0007/0007_002_15_0303noon_0017_0.jpg", "a.jpg"),
        ["list_val.txt:1: 'a.jpg 7'"],
    ),
    "an empty list": ("msmt17_v1", lambda root: (root / "list_train.txt").write_text(""), ["the list is empty"]),
    "images of a list gone": (
        "msmt17_v1",
        unlink("00*.[jJ]*"),
        ["list_train.txt: 2 of the 2 images that it lists do not exist: ", "train/0000/0000_000_01_0303morning_0015"],
    ),
    "the folder of images gone": (
        "msmt17_v2",
        lambda root: (root / "mask_train_v2").rename(root / "x"),
        ["mask_train_v2", "2 folders: mask_test_v2, x"],
    ),
    "vehicles gone": (
        "vehicleid",
        unlink("000000[14].jpg"),
        ["2 of the 5 images that it lists are not in", "0000001, 0000004"],
    ),
    "vehicles listed otherwise": (
        "vehicleid",
        change_text("train_test_split/train_list.txt", "0000002 7", "0000002"),
        ["train_list.txt:2: '0000002'"],
    ),
    "a csv without a column": (
        "csv",
        change_text("train.csv", "pid", "id"),
        ["train.csv:1: no column pid", "path,id,cam"],
    ),
    "a csv without a pid": ("csv", change_text("train.csv", ",1501,", ",,"), ["train.csv:5: no pid in 'b/5.jpg,,'"]),
    "a csv of nothing": (
        "csv",
        lambda root: (root / "train.csv").write_text("path,pid,cam\n"),
        ["no row below the header"],
    ),
    "a csv that is empty": (
        "csv",
        lambda root: (root / "train.csv").write_text(""),
        ["no column path, pid", "found empty"],
    ),
    "images of a csv gone": (
        "csv",
        unlink("*.png"),
        ["1 of the 4 images that it lists do not exist: ", "b/3, or 4.png"],
    ),
    "several csv": (
        "csv",
        lambda root: (root / "train.csv").rename(root / "a.csv") and (root / "b.csv").write_text("path,pid\n"),
        ["2 of them", "a.csv, b.csv"],
    ),
    "a csv that is no text": (
        "csv",
        lambda root: (root / "train.csv").write_bytes(b"path,pid\n\xff\xfe"),
        [":2: not UTF-8"],
    ),
    "json without a key": (
        "cuhk_pedes",
        change_json("reid_raw.json", lambda entries: entries[2].pop("file_path")),
        ["reid_raw.json: entry 3 of 8 has no key 'file_path'; its keys are split, captions, processed_tokens, id"],
    ),
    "json cut short": (
        "icfg_pedes",
        lambda root: (root / "ICFG-PEDES.json").write_text('[{"split": "train",\n'),
        ["ICFG-PEDES.json:", "not valid JSON"],
    ),
    "json of something else": (
        "rstp_reid",
        lambda root: (root / "data_captions.json").write_text('{"a": 1}'),
        ["a list of entries", "dict"],
    ),
    "captions empty": (
        "cuhk_pedes",
        change_json(
            "reid_raw.json", lambda entries: (entries[0].update(captions=[]), entries[3].update(captions=["a", " "]))
        ),
        ["2 entries have no caption, or an empty one: entry 1 of 8 (CUHK03/0000_c1_1.jpg), entry 4 of 8 (x/y.png)"],
    ),
    "an id that is text": (
        "rstp_reid",
        change_json("data_captions.json", lambda entries: entries[0].update(id="x")),
        ["entry 1 of 8: id is 'x'"],
    ),
    "captioned images gone": (
        "rstp_reid",
        unlink("y.png"),
        ["1 of the 4 images that it lists do not exist", "imgs/x/y.png"],
    ),
    "no entry to train on": (
        "rstp_reid",
        change_json("data_captions.json", lambda entries: [e.update(split="Train") for e in entries]),
        ["no entry is of split 'train'"],
    ),
    "a split without a part": (
        "cuhk03_split",
        lambda root: (root / "splits_new_detected.json").write_text('[{"test": []}]'),
        ["no key 'train'; it has test"],
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_set_says_what_is_wrong_and_where(tmp_path: Path, case: str) -> None:
    name, damage, says = BROKEN[case]
    source, write, _ = sets.SETS[name]
    root = write(tmp_path / "data")
    damage(root)
    with pytest.raises(DataError) as error:
        read(source, root, "train")
    assert error.value.exit_code == 2
    assert [words for words in says if words not in str(error.value)] == [], str(error.value)


def test_a_csv_may_be_named_itself_and_hold_names(tmp_path: Path) -> None:
    write_image(tmp_path / "x.jpg")
    (tmp_path / "people.csv").write_text("cam;pid;extra;path\n2;anna;;x.jpg\n1;007;;x.jpg\n")
    reading = read("csv", tmp_path / "people.csv", "train")
    assert reading is not None
    assert [(found.pid, found.camera) for found in reading.found] == [("anna", 2), ("007", 1)]


def test_cuhk03_takes_the_boxes_that_are_asked_for(tmp_path: Path) -> None:
    sets.market1501(tmp_path / "detected")
    write_image(tmp_path / "labeled" / "bounding_box_train" / "0001_c1_1.png")
    for root, images in ((tmp_path, 4), (tmp_path / "labeled", 1)):
        reading = read("cuhk03", root, "train")
        assert reading is not None
        assert len(reading.found) == images


@given(st.integers(0, 99999), st.integers(1, 99), st.sampled_from(["s1_000451_03", "_f0046182", "_00016450_0", ""]))
def test_names_say_pid_and_camera(pid: int, camera: int, rest: str) -> None:
    for name in (f"{pid:04d}_c{camera}{rest}.jpg", f"{pid}_c{camera:03d}{rest}.JPG"):
        match = NAME.match(name)
        assert match is not None
        assert (int(match[1]), int(match[2])) == (pid, camera)


@given(st.lists(st.tuples(st.integers(-1, 4000), st.integers(0, 15), st.booleans()), min_size=1, max_size=8))
def test_any_list_of_msmt17_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, bool]]
) -> None:
    root = tmp_path_factory.mktemp("msmt")
    lines = []
    for number, (pid, camera, windows) in enumerate(rows):
        name = f"{max(0, pid):04d}/{max(0, pid):04d}_{number:03d}_{camera:02d}_0303noon_0001_0.jpg"
        (root / "train" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "train" / name).touch()
        lines.append((name.replace("/", "\\") if windows else name) + f" {pid}")
    (root / "list_train.txt").write_text("\n".join(lines))
    reading = read("msmt17", root, "train")
    assert reading is not None
    kept = [(pid, camera) for pid, camera, _ in rows if pid != -1]
    assert [(found.pid, found.camera) for found in reading.found] == kept
    assert reading.junk == len(rows) - len(kept)


def test_every_part_is_a_word_that_readers_know() -> None:
    assert get_args(Part) == ("train", *sets.PARTS)
