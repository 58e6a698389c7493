"""An image-text training through the commands: healthy, sick, on people's own folders, and on bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from reid_smoke.build import losses
from reid_smoke.build.text_tower import TextTower
from reid_smoke.cli.app import app
from reid_smoke.facts import GraphFacts
from tests import small_resnet
from tests.build.data.formats import sets as formats
from tests.cli.test_run import LEARNS, QUICK, sets, train

TEXT = ["data.source=captioned_pedestrians", "model.text={width: 64}"]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []
    real = losses.sdm_loss

    def count(*arguments: Any) -> torch.Tensor:
        calls.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(losses, "sdm_loss", count)
    return calls


def test_two_towers_learn_and_nothing_is_found(tmp_path: Path, counted: list[Any]) -> None:
    ended = train(tmp_path / "run", *LEARNS, *TEXT)
    assert (ended.code, ended.plain["verdict"], ended.plain["findings"]) == (0, "GO", [])
    assert ended.report.notes == ()  # no probe failed
    graph = ended.ledger.all(GraphFacts)[0]
    assert (graph.head, graph.neck, graph.neck_feeds_head) == ("bn_neck.classifier.weight", "bn_neck.bn", True)
    assert (graph.classifications, graph.cut_off) == (2, ())
    assert graph.backbone_reached == graph.backbone_trainable
    steps = ended.ledger.steps
    text_ce = [step.loss - step.ce for step in steps]  # the image's CE alone is judged, and the text's learns as well
    assert text_ce[0] == pytest.approx(3.0, abs=0.1)
    assert max(text_ce[-5:]) < 2.5
    assert counted == []
    with Image.open(tmp_path / "run" / "contact-sheet.jpg") as sheet:
        assert sheet.width > 4 * 170


def test_sdm_compares_image_and_caption_in_random_batches(tmp_path: Path, counted: list[Any]) -> None:
    ended = train(tmp_path / "run", *QUICK, *TEXT, "loss.sdm_weight=0.1", "retrieval={}")
    assert len(counted) == len(ended.ledger.steps) == 10
    images, texts, pids = counted[0]
    assert images.shape == texts.shape == (8, small_resnet.WIDTH)
    assert pids.shape == (8,)
    found = ended.plain["retrieval"]
    assert (found["captions"], found["gallery"]) == (320, 160)
    assert {when for when in ("before", "after", "chance", "colour") if found[when]["by_caption"]} == {
        "before", "after", "chance",
    }  # fmt: skip
    assert "by caption: Rank-1 0.05, mAP" in ended.stdout  # chance
    assert "320 captions in the same images" in ended.stdout


def test_a_text_tower_that_is_cut_off_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = TextTower.forward
    monkeypatch.setattr(TextTower, "forward", lambda tower, tokens: real(tower, tokens).detach())
    ended = train(tmp_path / "run", *LEARNS, *TEXT)
    assert (ended.code, ended.first_cause) == (1, "RS314")
    assert "text_tower.words.weight" in ended.report.findings[0].evidence


def test_a_frozen_text_tower_is_a_plan(tmp_path: Path) -> None:
    ended = train(tmp_path / "run", *LEARNS, *TEXT, "model.freeze=[^text_tower]")
    assert (ended.code, ended.plain["findings"]) == (0, [])


@pytest.mark.parametrize("source", ["cuhk_pedes", "icfg_pedes", "rstp_reid"])
def test_peoples_own_folders_feed_it(tmp_path: Path, source: str) -> None:
    root = getattr(formats, source)(tmp_path / "data")
    noise = np.random.default_rng(0)
    for path in (root / "imgs").rglob("*.*"):
        if path.suffix.lower() in (".jpg", ".png") and not path.name.startswith(
            "._"
        ):  # the fixture's own are of one colour, of which a run says so and stops
            Image.fromarray(noise.integers(0, 256, (48, 24, 3), dtype=np.uint8)).save(path)
    where = [f"data.source={source}", f"data.root={root}", "data.identities=null", "data.batch_size=4"]
    ended = train(tmp_path / "run", *QUICK, *where, "model.text={}")
    assert ended.report.global_step == 10
    assert ended.ledger.all(GraphFacts)[0].classifications == 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.text={}"], "model.text reads captions, and data.source pedestrians has none"),
        ([*TEXT, "model.target=a:b"], "text is a tower beside backbone"),
        ([*TEXT, "model.text.width=30"], "multiple of 4"),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, overrides: list[str], message: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("name: tiny\n")
    ended = CliRunner().invoke(app, ["run", str(config), *sets(*overrides), "--out", str(tmp_path / "run")])
    assert ended.exit_code == 2
    assert message in ended.stderr
    assert not (tmp_path / "run").exists()


def test_inspect_shows_captions(tmp_path: Path) -> None:
    config, sheet = tmp_path / "config.yaml", tmp_path / "sheet.png"
    config.write_text("name: tiny\n")
    ended = CliRunner().invoke(app, ["inspect", str(config), *sets(*QUICK, *TEXT), "--out", str(sheet)])
    assert ended.exit_code == 0, ended.output
    said = " ".join(ended.stdout.split())
    assert "20 identities, 160 images, 320 captions" in said
    assert "like: " in said
    assert "random: every caption once an epoch" in said
    assert "text a transformer 64 wide over" in said
    assert "^bn_neck\\.classifier: lr 0.01" in said
    with Image.open(sheet) as picture:
        assert picture.width > 4 * 170
