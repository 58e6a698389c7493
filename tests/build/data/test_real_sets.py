"""The two real data sets, built by their scripts and opened. Skipped, saying why, where a source is missing."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from reid_smoke.build.data.training_set import open_training_set, scan
from tests.build.data.folders import market1501

REPOSITORY = Path(__file__).resolve().parents[3]
SOURCES = REPOSITORY.parent / "shared" / "data"
ZIPS = [SOURCES / f"omniglot_images_background_small{number}.zip" for number in (1, 2)]
BOXES = SOURCES / "vtest_people.csv"
VIDEO = Path(os.environ.get("REID_SMOKE_VTEST_AVI", "/usr/share/doc/opencv-doc/examples/data/vtest.avi"))

needs_zips = pytest.mark.skipif(
    not all(path.exists() for path in ZIPS), reason=f"no {ZIPS[0].name} and {ZIPS[1].name} in ../shared/data"
)
needs_boxes = pytest.mark.skipif(not BOXES.exists(), reason=f"no {BOXES.name} in ../shared/data")
needs_video = pytest.mark.skipif(
    not VIDEO.exists(), reason="no vtest.avi: set REID_SMOKE_VTEST_AVI, or install Debian's opencv-doc"
)
needs_opencv = pytest.mark.skipif(
    importlib.util.find_spec("cv2") is None,
    reason="no OpenCV to read the video with: pip install opencv-python-headless",
)


def build(script: str, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(REPOSITORY / "scripts" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@needs_zips
def test_omniglot(tmp_path: Path) -> None:
    done = build("make_omniglot.py", *ZIPS, tmp_path / "data" / "omniglot")
    assert done.returncode == 0, done.stderr
    facts = scan(open_training_set(market1501(tmp_path / "data" / "omniglot")), 242)
    assert (facts.images, facts.identities, facts.cameras) == (4840, 242, 20)
    assert facts.images_per_identity == (20, 20, 20)
    assert facts.labels_out_of_range == 0
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["omniglot"]  # nothing half-written beside it
    again = build("make_omniglot.py", *ZIPS, tmp_path / "data" / "omniglot")
    assert again.returncode != 0
    assert "exists already" in again.stderr


def test_omniglot_by_quarter_turns(tmp_path: Path) -> None:
    """Two drawings in the archives' own order of folders: each quarter turn is one character more."""
    drawing = io.BytesIO()
    Image.linear_gradient("L").convert("1").save(drawing, "PNG")
    for number, alphabet in enumerate(("Balinese", "Latin"), start=1):
        with zipfile.ZipFile(tmp_path / f"{number}.zip", "w") as archive:
            archive.writestr(f"images_background_small{number}/{alphabet}/character01/0108_07.png", drawing.getvalue())
    done = build("make_omniglot.py", tmp_path / "1.zip", tmp_path / "2.zip", tmp_path / "omniglot", "--rotate")
    assert done.returncode == 0, done.stderr
    training_set = open_training_set(market1501(tmp_path / "omniglot"))
    assert training_set.pids == tuple(range(1, 9))
    assert {sample.camera for sample in training_set.samples} == {7}
    upright, turned = training_set.image(0), training_set.image(2)  # pid 3 is pid 1 turned once
    assert (turned == upright.transpose(1, 0, 2)[::-1]).all()


def test_no_archive_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 and no more")
    done = build("make_omniglot.py", tmp_path / "a.zip", tmp_path / "a.zip", tmp_path / "out")
    assert done.returncode != 0
    assert "no whole zip archive" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@needs_boxes
@needs_video
@needs_opencv
def test_pets09(tmp_path: Path) -> None:
    done = build("make_pets09.py", VIDEO, BOXES, tmp_path / "pets09")
    assert done.returncode == 0, done.stderr
    training_set = open_training_set(market1501(tmp_path / "pets09"))
    assert training_set.pids == tuple(range(1, 11))
    assert training_set.image(0).shape == (128, 64, 3)
    crops = {folder.name: len(list(folder.iterdir())) for folder in (tmp_path / "pets09").iterdir()}
    assert sum(crops.values()) == 847
    assert crops["bounding_box_train"] == len(training_set) == 686


@needs_boxes
def test_another_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.avi").write_bytes(b"RIFF")
    done = build("make_pets09.py", tmp_path / "other.avi", BOXES, tmp_path / "pets09")
    assert done.returncode != 0
    assert "45cddc94 was looked for" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["other.avi"]
