"""`init` writes a config that loads and runs; `inspect` shows what it would train on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from reid_smoke.cli.app import app
from reid_smoke.config.load import load_config
from tests import small_resnet
from tests.build.data.folders import write_image, write_market1501
from tests.build.data.formats import sets


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def refused(*arguments: str | Path) -> str:
    ended = call(*arguments)
    assert ended.exit_code == 2, ended.output
    assert ended.stdout == ""
    return ended.stderr


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", sets.SETS)
def test_a_config_for_every_format(here: Path, name: str) -> None:
    source, write, (pids, *_) = sets.SETS[name]
    root = write(here / "data")
    ended = call("init", root, "--out", "mine.yaml")
    assert ended.exit_code == 0, ended.output
    config = load_config(here / "mine.yaml")
    assert (config.data.source, config.data.root) == (source, root)
    assert f"{len(pids)} identities" in words(ended.stdout)
    assert "reid-smoke run mine.yaml" in ended.stdout
    assert [path.name for path in here.iterdir() if path.name != "data"] == ["mine.yaml"]
    # The recipe, whatever the set: what is not about the data is the schema's own default.
    plain, recipe = config.to_plain(), type(config)().to_plain()
    assert {key: plain[key] for key in plain if key not in ("name", "data")} == {
        key: recipe[key] for key in recipe if key not in ("name", "data")
    }


def test_what_init_says_and_writes(here: Path) -> None:
    write_market1501(here / "My Market", range(1, 41), images_each=5, cameras=3)
    write_image(here / "My Market" / "bounding_box_train" / "-1_c1s1_000001_00.jpg")
    write_image(here / "My Market" / "query" / "0050_c1s1_000001_00.jpg")
    said = words(call("init", "My Market").stdout)
    for part in (
        "Market-1501 in My Market",
        "train 40 identities, 200 images, 3 cameras; 5 images of each; 1 junk left out",
        "query 1 identity, 1 image, 1 camera; 1 image of each",
        "pictures about 48x24",
        "config my-market.yaml, the recipe: 64 images of 256x128, 16 identities x 4",
        "looks 320 at each identity by step 200, 480 by step 300",
        "next reid-smoke inspect my-market.yaml",
    ):
        assert part in said, said
    config = load_config(here / "my-market.yaml")
    assert (config.data.sampler, config.data.batch_size, config.name) == ("pk", 64, "my-market")


def test_batches_of_few_identities_and_of_single_images(here: Path) -> None:
    write_market1501(here / "few", [1, 2, 3], images_each=6)
    call("init", "few")
    assert load_config(here / "few.yaml").data.batch_size == 8
    write_market1501(here / "single", range(1, 31), images_each=1)
    assert "30 of 30 identities have no second image" in words(call("init", "single").stdout)
    single = load_config(here / "single.yaml").data
    assert (single.sampler, single.batch_size) == ("random", 15)


def test_a_config_that_is_there_is_kept(here: Path) -> None:
    write_market1501(here / "few", [1, 2, 3])
    (here / "few.yaml").write_text("mine")
    assert "few.yaml exists already: --force" in refused("init", "few")
    assert (here / "few.yaml").read_text() == "mine"
    assert call("init", "few", "--force").exit_code == 0
    assert load_config(here / "few.yaml").name == "few"


def test_nothing_recognised(here: Path) -> None:
    write_image(here / "data" / "holidays" / "2020" / "beach.jpg")
    said = refused("init", "data")
    assert "data: no data set was recognised; it holds 1 folder: holidays" in said
    assert "Market-1501: bounding_box_train/0002_c1s1_000451_03.jpg" in said
    assert "no such folder" in refused("init", "gone")
    assert [path.name for path in here.iterdir()] == ["data"]


def test_several_sets(here: Path) -> None:
    sets.veri776(here / "data" / "VeRi")
    sets.market1501(here / "data" / "Market 1501")
    said = refused("init", "data")
    assert "data holds 2 data sets" in said
    assert "reid-smoke init 'data/Market 1501'    # Market-1501" in said


def test_places_that_cannot_be_written(here: Path) -> None:
    write_market1501(here / "few", [1, 2, 3])
    assert "cannot be written" in refused("init", "few", "--out", "no/such/folder.yaml")
    assert "this is a folder" in refused("init", "few", "--out", "few")
    call("init", "few")
    assert "a contact sheet is a .png" in refused("inspect", "few.yaml", "--out", "sheet.xyz")
    assert "cannot be written" in refused("inspect", "few.yaml", "--out", "no/sheet.png")
    assert not list(here.glob(".*"))


def test_inspect_shows_the_data_and_a_batch(here: Path) -> None:
    write_market1501(here / "few", [3, 5, 9], images_each=4)
    write_image(here / "few" / "bounding_box_train" / "0011_c1s1_000001_00.jpg")
    call("init", "few")
    ended = call("inspect", "few.yaml", "--set", "data.height=64", "--set", "data.width=32")
    assert ended.exit_code == 0, ended.output
    said = words(ended.stdout)
    for part in (
        "data Market-1501 in few",
        "train 4 identities, 13 images, 2 cameras; 1 to 4 images of each",
        "batch (8, 3, 64, 32) float32, flip, pad_crop",
        "sampler pk: 2 identities x 4 images; an identity of fewer comes with repeats, and 1 have one image only",
        "epoch 2 steps",
        "looks 400 at each identity by step 200, 600 by step 300: the window",
        "chance log 4 = 1.39; the bar is 1.00",
        "sheet contact-sheet.png",
    ):
        assert part in said, said
    with Image.open(here / "contact-sheet.png") as sheet:
        assert sheet.format == "PNG"
        colours = sheet.convert("RGB").getcolors(1 << 20)
    assert colours is not None
    assert len(colours) > 20


def test_inspect_says_how_long_a_run_will_take(here: Path) -> None:
    write_market1501(here / "few", range(1, 9), images_each=4)
    call("init", "few")
    tiny = ["data.height=32", "data.width=16", f"model.backbone={small_resnet.NAME}", "device=cpu", "data.batch_size=8"]
    overrides = [word for each in tiny for word in ("--set", each)]
    before = sorted(here.iterdir())
    said = words(call("inspect", "few.yaml", "--time", *overrides).stdout)
    found = re.search(r"step (\S+) s on cpu, the median of \d+ after \d; .* run about (?:(\d+) min )?(\S+) s to", said)
    assert found is not None, said
    step, minutes, rest = (float(number or 0) for number in found.groups())
    assert 60 * minutes + rest == pytest.approx(300 * step, rel=0.1)
    assert "to step 300" in said
    assert sorted(here.iterdir()) == sorted([*before, here / "contact-sheet.png"])
    moved = words(call("inspect", "few.yaml", "--time", *overrides, "--set", "rule.window=[1,2]").stdout)
    assert "to step 2, after some seconds to start; where CE falls and is over the bar there, about" in moved
    assert "to step 4" in moved
    broken = call("inspect", "few.yaml", "--time", *overrides, "--set", "model.num_classes=2")
    assert (broken.exit_code, "step 1 raised IndexError: Target" in broken.stderr) == (3, True)
    assert "a model alone has no data" in refused("inspect", "package.module:factory", "--time")


def test_inspect_of_the_embedded_set(here: Path) -> None:
    (here / "demo.yaml").write_text("data: {identities: 6, height: 32, width: 16, batch_size: 8}\n")
    said = words(call("inspect", "demo.yaml", "--out", "a.jpg").stdout)
    assert "data embedded pedestrians" in said
    assert "train 6 identities, 48 images, 4 cameras; 8 images of each" in said
    assert (here / "a.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_a_run_of_what_init_wrote_measures_retrieval_and_keeps_its_first_batch(here: Path) -> None:
    write_market1501(here / "few", range(1, 9), images_each=6)
    write_image(here / "few" / "bounding_box_train" / "0011_c1s1_000001_00.jpg")
    call("init", "few")
    tiny = [
        "data.height=32",
        "data.width=16",
        f"model.backbone={small_resnet.NAME}",
        "rule.window=[6,12]",
        "device=cpu",
    ]
    overrides = [word for each in tiny for word in ("--set", each)]
    plain = call("run", "few.yaml", *overrides, "--out", "plain")
    measured = call("run", "few.yaml", *overrides, "--set", "retrieval.images=40", "--out", "measured")
    assert plain.exit_code in (0, 1), plain.output
    reports = [json.loads((here / name / "report.json").read_text()) for name in ("plain", "measured")]
    assert reports[0]["retrieval"] is None
    assert reports[0]["ce"] == reports[1]["ce"]  # looking at the features leaves the training as it was
    found = reports[1]["retrieval"]
    assert (found["on"], found["trained_on"]) == ("training images, each among the others", True)
    assert set(found["before"]) == set(found["after"]) == {"mean_ap", "rank1", "by_caption"}
    assert (found["captions"], found["after"]["by_caption"]) == (0, None)
    assert "by colour alone" in measured.stdout
    assert "1 of 9 identities have one image. PK sampling draws 4 of each" in words(plain.stdout)
    with Image.open(here / "plain" / "contact-sheet.jpg") as sheet:
        assert sheet.format == "JPEG"
