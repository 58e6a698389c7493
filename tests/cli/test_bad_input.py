"""Bad input: one clear message, exit code 2, and nothing left behind.

Most cases run within the tests' own process, since each process of its own would import torch once more.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from reid_smoke.cli.app import app
from tests import small_resnet
from tests.cli.test_run import AFRESH
from tests.conftest import ReidSmoke

TINY = [
    "device=cpu", "data.identities=4", "data.height=32", "data.width=16", "data.batch_size=8",
    f"model.backbone={small_resnet.NAME}", "rule.window=[10,20]",
]  # fmt: skip


def sets(*overrides: str) -> list[str]:
    return [word for override in (*TINY, *overrides) for word in ("--set", override)]


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 32)).save(path)


def folder_with_images(*names: str) -> Callable[[Path], object]:
    return lambda here: [image(here / "data" / name) for name in names]


def file_with(name: str, text: str) -> Callable[[Path], object]:
    return lambda here: (here / name).write_text(text)


def rstp_reid(entries: str) -> Callable[[Path], object]:
    return lambda here: (
        image(here / "data" / "imgs" / "a.png"),
        (here / "data" / "data_captions.json").write_text(entries),
    )


def nothing(here: Path) -> None:
    pass


class Case(NamedTuple):
    arguments: list[str]
    says: list[str]  # parts of the message, in any order
    prepare: Callable[[Path], object] = nothing


MARKET = ["data.source=market1501", "data.root=data", "data.identities=null"]
CASES = {
    "no such file": Case(["run", "confg.yaml"], ["confg.yaml: no such file", "config.yaml"]),
    "a folder as config": Case(["run", "."], ["this is a folder", "config.yaml"]),
    "yaml syntax": Case(
        ["run", "bad.yaml"], ["bad.yaml:2: not valid YAML"], file_with("bad.yaml", "name: x\ndata: }{\nseed: 1\n")
    ),
    "unknown key": Case(
        ["run", "bad.yaml"],
        ["bad.yaml:2: optimizer.leraning_rate: unknown key", "Did you mean"],
        file_with("bad.yaml", "optimizer:\n  leraning_rate: 0.1\n"),
    ),
    "wrong type": Case(
        ["run", "bad.yaml"],
        ["bad.yaml:2: data.batch_size", '"many"', "a whole number"],
        file_with("bad.yaml", "data:\n  batch_size: many\n"),
    ),
    "every problem at once": Case(
        ["run", "bad.yaml", "--set", "seed=-1"],
        ["bad.yaml:1: nmae: unknown key", "bad.yaml:2: optimizer.lr", "--set seed=-1"],
        file_with("bad.yaml", "nmae: x\noptimizer: {lr: -1}\n"),
    ),
    "negative lr": Case(["run", "config.yaml", *sets("optimizer.lr=-1e-3")], ["optimizer.lr", "-0.001", "0 or more"]),
    "an override without a value": Case(
        ["run", "config.yaml", "--set", "optimizer.lr"], ["--set optimizer.lr", "expected key=value"]
    ),
    "a window beyond the run": Case(
        ["run", "config.yaml", *sets("train.steps=15")], ["rule.window [10, 20]", "train.steps is 15"]
    ),
    "a window that falls": Case(["run", "config.yaml", *sets("rule.window=[20,10]")], ["window [20, 10] must rise"]),
    "a window too early to judge": Case(
        ["run", "config.yaml", *sets("rule.window=[1,2]")], ["rule.window [1, 2]", "fewer than 10 steps"]
    ),
    "no data folder": Case(["run", "config.yaml", *sets(*MARKET)], ["data.root data: no such folder"]),
    "an empty data folder": Case(
        ["run", "config.yaml", *sets(*MARKET)], ["data.root data: the folder is empty"], lambda h: (h / "data").mkdir()
    ),
    "another layout": Case(
        ["run", "config.yaml", *sets(*MARKET)],
        ["looked for bounding_box_train/*.jpg", "found 2 folders: alice, bob", "data.source: image_folder"],
        folder_with_images("alice/1.jpg", "bob/1.jpg"),
    ),
    "the other way round": Case(
        ["run", "config.yaml", *sets("data.source=image_folder", *MARKET[1:])],
        ["looked for one folder an identity", "bounding_box_train", "data.source: market1501"],
        folder_with_images("bounding_box_train/0001_c1s1_000001_00.jpg", "bounding_box_train/0002_c1s1_000001_00.jpg"),
    ),
    "one identity": Case(
        ["run", "config.yaml", *sets(*MARKET)],
        ["one identity only", "pid 7 with 2 images"],
        folder_with_images("bounding_box_train/0007_c1s1_000001_00.jpg", "bounding_box_train/0007_c2s1_000001_00.jpg"),
    ),
    "one embedded identity": Case(["run", "config.yaml", *sets("data.identities=1")], ["data.identities is 1"]),
    "a batch larger than the data": Case(
        ["run", "config.yaml", *sets("data.batch_size=64")], ["data.batch_size 64", "32 images"]
    ),
    "nobody has two images under pk": Case(
        ["run", "config.yaml", *sets("data.sampler=pk", "data.instances=2", "data.batch_size=4", *MARKET)],
        ["pk draws 2 images of each identity", "not one of the data's 2 identities has two", "data.sampler to random"],
        folder_with_images("bounding_box_train/0001_c1s1_000001_00.jpg", "bounding_box_train/0002_c1s1_000001_00.jpg"),
    ),
    "nothing to be retrieved": Case(
        ["run", "config.yaml", *sets("data.batch_size=2", "retrieval.images=8", *MARKET)],
        ["retrieval: of training images", "no identity has a second image"],
        folder_with_images("bounding_box_train/0001_c1s1_000001_00.jpg", "bounding_box_train/0002_c1s1_000001_00.jpg"),
    ),
    "captions empty": Case(
        ["run", "config.yaml", *sets("data.source=rstp_reid", *MARKET[1:])],
        ["data_captions.json: 1 entry has no caption, or an empty one: entry 1 of 1 (a.png)"],
        rstp_reid('[{"split": "train", "img_path": "a.png", "id": 0, "captions": []}]'),
    ),
    "json without a key": Case(
        ["inspect", "config.yaml", *sets("data.source=rstp_reid", *MARKET[1:])],
        ["data_captions.json: entry 1 of 1 has no key 'img_path'; its keys are split, id, captions"],
        rstp_reid('[{"split": "train", "id": 0, "captions": ["x"]}]'),
    ),
    "images of a list gone": Case(
        ["init", "data"],
        ["data_captions.json: 1 of the 1 images that it lists do not exist: data/imgs/b.png"],
        rstp_reid('[{"split": "train", "img_path": "b.png", "id": 0, "captions": ["x"]}]'),
    ),
    "no data set at all": Case(
        ["init", "data"], ["no data set was recognised; it holds 1 file: a.png"], folder_with_images("a.png")
    ),
    "n larger than the data": Case(["overfit", "config.yaml", *sets(), "--n", "33"], ["n 33", "has 32 images"]),
    "n of one identity": Case(["overfit", "config.yaml", *sets(), "--n", "4"], ["n 4 leaves one identity"]),
    "too few epochs to judge": Case(
        ["overfit", "config.yaml", *sets(), "--n", "16", "--epochs", "2"],
        ["2 epochs over 16 samples are 4 steps of 8", "--epochs 5 or more"],
    ),
    "a group that finds nothing": Case(
        ["run", "config.yaml", *sets("optimizer.groups=[{match: bnneck.clasifier, lr: 0.01}]")],
        ["optimizer.groups[0].match: 'bnneck.clasifier'", "Nearest: bn_neck.classifier"],
    ),
    "no such backbone": Case(
        ["run", "config.yaml", *sets("model.backbone=resnet_50")], ["no model 'resnet_50'", "Nearest: resnet50"]
    ),
    "images too small for the backbone": Case(
        ["run", "config.yaml", *sets("model.backbone=squeezenet1_1")], ["squeezenet1_1 cannot take images of 32x16"]
    ),
    "no weights file": Case(
        ["run", "config.yaml", *sets("model.weights=w.pth")], ["model.weights: w.pth does not exist"]
    ),
    "weights that are none": Case(
        ["run", "config.yaml", *sets("model.weights=w.pth")],
        ["model.weights: w.pth is a web page, not weights"],
        file_with("w.pth", "<!DOCTYPE html><html></html>"),
    ),
    "weights in an image": Case(
        ["run", "config.yaml", *sets("model.weights=data/a.png")],
        ["model.weights: data/a.png is no file that torch.save wrote"],
        folder_with_images("a.png"),
    ),
    "a name that leaves the folder": Case(
        ["run", "config.yaml", *sets("name=../x")], ["name: found", "../x", "expected text that matches"]
    ),
    "an output folder below a file": Case(
        ["run", "config.yaml", *sets(), "--out", "config.yaml/x/y"], ["config.yaml/x/y: cannot be written", "--out"]
    ),
    "an output folder that is a file": Case(
        ["run", "config.yaml", *sets(), "--out", "config.yaml"], ["config.yaml: cannot be written", "--out"]
    ),
    "runs is a file": Case(
        ["run", "config.yaml", *sets()], ["runs: cannot be written", "--out"], file_with("runs", "mine")
    ),
    "a loss that is not there": Case(
        ["run", "config.yaml", *sets("loss.target=losses_of_nobody:ArcFace")],
        ["loss.target: there is no module losses_of_nobody in", "Name the folder", "loss.cwd"],
        file_with("config.yaml", "name: tiny\n"),
    ),
    "what belongs to a loss of one's own": Case(
        ["run", "bad.yaml"],
        ["bad.yaml:1: loss: kwargs: only together with target"],
        file_with("bad.yaml", "loss: {kwargs: {m: 0.3}}\n"),
    ),
    "no config": Case(["run"], ["Missing argument"]),
    "two configs": Case(["run", "config.yaml", "config.yaml"], ["unexpected extra argument"]),
    "an unknown device": Case(["run", "config.yaml", "--device", "tpu"], ["'tpu'", "'cuda'"]),
}


def everything_in(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def refuse(here: Path, monkeypatch: pytest.MonkeyPatch, case: Case) -> str:
    """The message, after everything that holds for all of them."""
    monkeypatch.chdir(here)
    (here / "config.yaml").write_text("name: tiny\n")
    case.prepare(here)
    before = everything_in(here)
    ended = CliRunner().invoke(app, case.arguments)
    assert ended.exit_code == 2, ended.output
    assert isinstance(ended.exception, SystemExit)
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert everything_in(here) == before
    return ended.stderr


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_bad_input_is_refused_in_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    message = refuse(tmp_path, monkeypatch, case)
    assert [part for part in case.says if part not in message] == [], message
    assert message.count("reid-smoke: ") + message.count("Error: ") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here, so asking for it is no fault")
def test_no_cuda_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(["run", "config.yaml", *sets()[2:], "--device", "cuda"], [])
    assert "device: cuda was asked for" in refuse(tmp_path, monkeypatch, case)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        # Found while the data are read beside the import of torch; and last of all, when everything else stands.
        (["data.source=image_folder", "data.root=gone"], "data.root gone: no such folder"),
        ([], "config.yaml/x: cannot be written (Not a directory). Choose another folder with --out."),
    ],
)
def test_the_same_in_a_process_of_its_own(
    reid_smoke_afresh: ReidSmoke, tmp_path: Path, overrides: list[str], message: str
) -> None:
    (tmp_path / "config.yaml").write_text("name: tiny\n")
    ended = reid_smoke_afresh("run", "config.yaml", *sets(AFRESH, *overrides), "--out", "config.yaml/x")
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"reid-smoke: {message}\n")
    assert list(everything_in(tmp_path)) == ["config.yaml"]
