from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reid_smoke.build.data.training_set import UnreadableImage, fixed_subset, open_training_set, scan
from reid_smoke.config.schema import DataConfig
from reid_smoke.errors import DataError
from tests.build.data.folders import market1501, truncate, write_image, write_market1501


def image_folder(root: Path) -> DataConfig:
    return DataConfig(source="image_folder", root=root)


def test_market1501_sorts_drops_junk_and_keeps_pid_zero(tmp_path: Path) -> None:
    write_market1501(tmp_path, [1500, 7, 0, 42], images_each=2)
    train = tmp_path / "bounding_box_train"
    write_image(train / "-1_c3s1_000001_00.jpg")
    write_image(train / "0007_c6s2_000009_01.JPG")
    write_image(train / "0042_c2s1_000009_01.png")
    (train / "._0007_c1s1_000000_00.jpg").write_bytes(b"what macOS leaves on other people's disks")
    (train / "Thumbs.db").write_bytes(b"and Windows")

    training_set = open_training_set(market1501(tmp_path))

    assert training_set.pids == (0, 7, 42, 1500)
    assert [sample.label for sample in training_set.samples if sample.pid == 1500] == [3, 3]
    assert len(training_set) == 10
    assert training_set.junk_dropped == 1
    assert {sample.camera for sample in training_set.samples if sample.pid == 7} == {1, 2, 6}


def test_market1501_opens_bounding_box_train_itself(tmp_path: Path) -> None:
    write_market1501(tmp_path, [3, 5])
    assert open_training_set(market1501(tmp_path / "bounding_box_train")).pids == (3, 5)


def test_duke_and_veri_names(tmp_path: Path) -> None:
    for name in ("0001_c2_f0046182.jpg", "0005_c8_f0091802.jpg", "0007_c012_00016450_0.jpg"):
        write_image(tmp_path / "bounding_box_train" / name)
    assert [sample.camera for sample in open_training_set(market1501(tmp_path)).samples] == [2, 8, 12]


@pytest.mark.parametrize("train", ["", "train"])
def test_image_folder(tmp_path: Path, train: str) -> None:
    for name in ("0010/a_c3.jpg", "0010/b.jpg", "0002/a_c1.png", "-1/junk.jpg"):
        write_image(tmp_path / train / name)
    (tmp_path / train / ".git").mkdir()
    (tmp_path / train / "notes.txt").write_text("no image")

    training_set = open_training_set(image_folder(tmp_path))

    assert training_set.pids == ("0002", "0010")
    assert [(sample.pid, sample.camera) for sample in training_set.samples] == [("0002", 1), ("0010", 3), ("0010", 0)]
    assert training_set.junk_dropped == 1


def test_identities_takes_the_first_by_pid(tmp_path: Path) -> None:
    write_market1501(tmp_path, [9, 4, 6], images_each=2)
    training_set = open_training_set(market1501(tmp_path, identities=2))
    assert training_set.pids == (4, 6)
    assert len(training_set) == 4


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda root: None, ["no such folder"]),
        (lambda root: root.mkdir(), ["the folder is empty"]),
        (lambda root: root.write_text("a file"), ["this is a file"]),
        (
            lambda root: [write_image(root / part / "img.jpg") for part in ("query", "gallery", "train_all")],
            ["looked for bounding_box_train/*.jpg named like 0002_c1s1_000451_03.jpg", "3 folders: gallery, query"],
        ),
        (lambda root: write_market1501(root, [12]), ["one identity only, pid 12 with 4 images"]),
        (lambda root: write_image(root / "bounding_box_train" / "-1_c1s1_0_0.jpg"), ["all 1 images are junk"]),
        (
            lambda root: [write_market1501(root, [1, 2]), write_image(root / "bounding_box_train" / "cat.jpg")],
            ["1 of 9 images are not named like", "cat.jpg"],
        ),
        (lambda root: write_market1501(root / "Market-1501", [1, 2]), ["data.root:", "data/Market-1501"]),
        (lambda root: [write_image(root / f"{pid}" / "a.jpg") for pid in (3, 4)], ["source: image_folder"]),
        (lambda root: (root / "bounding_box_train").mkdir(parents=True), ["found nothing"]),
    ],
)  # fmt: skip
def test_a_market1501_that_is_none(tmp_path: Path, make: object, says: list[str]) -> None:
    root = tmp_path / "data"
    make(root)  # type: ignore[operator]
    with pytest.raises(DataError) as error:
        open_training_set(market1501(root))
    assert error.value.exit_code == 2
    for words in says:
        assert words in str(error.value)


def test_parts_of_a_data_set_are_not_identities(tmp_path: Path) -> None:
    """Read as an ImageFolder, Market-1501's folders make a training of three classes (ReID-PCB_RPP #7: of one)."""
    write_market1501(tmp_path, [1, 2])
    write_image(tmp_path / "query" / "0001_c1s1_000000_00.jpg")
    with pytest.raises(DataError, match="source: market1501"):
        open_training_set(image_folder(tmp_path))


def test_more_identities_than_there_are(tmp_path: Path) -> None:
    write_market1501(tmp_path, [1, 2])
    with pytest.raises(DataError, match="has 2 identities"):
        open_training_set(market1501(tmp_path, identities=3))


def test_image_is_rgb_at_the_file_s_size(tmp_path: Path) -> None:
    write_market1501(tmp_path, [1, 2], images_each=1)
    image = open_training_set(market1501(tmp_path)).image(1)
    assert image.shape == (48, 24, 3)
    assert image.dtype == np.uint8
    assert abs(int(image[5, 5, 0]) - 57) <= 2


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n\0\0"])
def test_unreadable_images_are_named(tmp_path: Path, content: bytes) -> None:
    write_market1501(tmp_path, [1, 2], images_each=1)
    bad = tmp_path / "bounding_box_train" / "0001_c1s1_000000_00.jpg"
    bad.write_bytes(content)
    with pytest.raises(UnreadableImage) as error:
        open_training_set(market1501(tmp_path)).image(0)
    assert error.value.path == str(bad)
    assert error.value.reason


def test_a_truncated_image_is_unreadable(tmp_path: Path) -> None:
    write_market1501(tmp_path, [1, 2], images_each=1)
    truncate(tmp_path / "bounding_box_train" / "0002_c1s1_000000_00.jpg")
    with pytest.raises(UnreadableImage, match="truncated"):
        open_training_set(market1501(tmp_path)).image(1)


def test_scan_counts_the_whole_set(tmp_path: Path) -> None:
    write_market1501(tmp_path, [5, 3], images_each=2)
    write_market1501(tmp_path, [1501], images_each=5)
    facts = scan(open_training_set(market1501(tmp_path)), num_classes=2)
    assert (facts.images, facts.identities, facts.cameras) == (9, 3, 2)
    assert (facts.label_min, facts.label_max) == (0, 2)
    assert facts.images_per_identity == (2, 2, 5)
    assert facts.labels_out_of_range == 5
    assert facts.example_out_of_range.startswith("pid 1501 -> label 2 (")
    assert "1501_c1s1_000000_00.jpg" in facts.example_out_of_range
    assert scan(open_training_set(market1501(tmp_path)), num_classes=3).labels_out_of_range == 0


def test_the_embedded_set_is_labelled_by_person() -> None:
    training_set = open_training_set(DataConfig(identities=6, height=32, width=16))
    assert training_set.identities == 6
    assert training_set.cameras == 4
    facts = scan(training_set, 6)
    assert facts.images_per_identity == (8, 8, 8)
    assert facts.source == "embedded pedestrians"
    assert training_set.image(47).shape == (32, 16, 3)
    with pytest.raises(DataError, match="nothing to tell apart"):
        open_training_set(DataConfig(identities=1))


def test_fixed_subset_keeps_four_images_an_identity_and_relabels() -> None:
    training_set = open_training_set(DataConfig(identities=40, height=16, width=8))
    subset = fixed_subset(training_set, 64, seed=3)
    facts = scan(subset, 16)
    assert (facts.images, facts.identities) == (64, 16)
    assert (facts.label_min, facts.label_max) == (0, 15)
    assert facts.images_per_identity == (4, 4, 4)
    assert [subset.pids[sample.label] for sample in subset.samples] == [sample.pid for sample in subset.samples]
    assert list(subset.pids) == sorted(subset.pids)
    assert subset.samples == fixed_subset(training_set, 64, seed=3).samples
    assert subset.samples != fixed_subset(training_set, 64, seed=4).samples
    np.testing.assert_array_equal(subset.image(0), training_set.image(int(subset.samples[0].image)))


def test_fixed_subset_of_few_identities_takes_more_of_each() -> None:
    training_set = open_training_set(DataConfig(identities=5, height=16, width=8))
    subset = fixed_subset(training_set, 36, seed=0)
    assert subset.identities == 5
    assert scan(subset, 5).images_per_identity == (4, 8, 8)
    assert len(fixed_subset(training_set, 40, seed=0)) == 40


def test_fixed_subset_larger_than_the_data() -> None:
    training_set = open_training_set(DataConfig(identities=3, height=16, width=8))
    with pytest.raises(DataError, match="n 25 is larger than the data: embedded pedestrians has 24 images"):
        fixed_subset(training_set, 25, seed=0)
    with pytest.raises(DataError, match="leaves one identity"):
        fixed_subset(training_set, 3, seed=0)
