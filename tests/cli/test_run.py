"""`reid-smoke run` on tiny trainings: healthy ones, sick ones, and what they leave behind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from reid_smoke.build import losses
from reid_smoke.build.data.pedestrians import render_pedestrians
from reid_smoke.cli.app import app
from reid_smoke.config.load import load_config
from reid_smoke.facts import DatasetFacts, EndFacts, RunFacts
from reid_smoke.folder import make_run_folder
from reid_smoke.ledger import Ledger
from reid_smoke.report.document import Report
from reid_smoke.verdict import judge
from tests import small_resnet
from tests.build.data.folders import truncate
from tests.warm import Warm

LEARNS = [
    "device=cpu", "data.identities=20", "data.height=32", "data.width=16", "data.batch_size=8", "data.augment=[]",
    f"model.backbone={small_resnet.NAME}", "rule.window=[20,30]",
]  # fmt: skip
QUICK = [*LEARNS, "rule.window=[5,10]"]
AFRESH = "model.backbone=shufflenet_v2_x0_5"  # in a process that was told of no model of ours


def sets(*overrides: str) -> list[str]:
    return [word for override in overrides for word in ("--set", override)]


@dataclass(frozen=True)
class Ended:
    code: int
    stdout: str
    stderr: str
    folder: Path

    @property
    def plain(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "report.json").read_bytes())
        return document

    @property
    def report(self) -> Report:
        return Report.model_validate(self.plain)

    @property
    def ledger(self) -> Ledger:
        return Ledger.read(self.folder / "facts.jsonl")

    @property
    def first_cause(self) -> str | None:
        return self.report.primary.code if self.report.primary else None


def train(folder: Path, *overrides: str) -> Ended:
    """The command within this process: torch is imported once for all."""
    config = folder.with_suffix(".yaml")
    config.write_text("name: tiny\n")
    result = CliRunner().invoke(app, ["run", str(config), *sets(*overrides), "--out", str(folder)])
    assert isinstance(result.exception, SystemExit | None), result.output  # nothing else came through
    return Ended(result.exit_code, result.stdout, result.stderr, folder)


def write_people(root: Path, identities: int) -> Path:
    """Pedestrians in Market-1501's layout, eight images each: a training on plain colours would be told so."""
    people = render_pedestrians(identities, 32, 16)
    (root / "bounding_box_train").mkdir(parents=True)
    for i, (who, camera, pixels) in enumerate(zip(people.identities, people.cameras, people.pixels, strict=True)):
        Image.fromarray(pixels).save(root / "bounding_box_train" / f"{who:04d}_c{camera + 1}s1_{i:06d}_00.png")
    return root


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """With label smoothing, since what holds with it holds without."""
    return train(tmp_path_factory.mktemp("healthy") / "run", *LEARNS, "loss.label_smoothing=0.1")


def test_a_healthy_training_is_a_go(healthy: Ended) -> None:
    assert healthy.code == 0, healthy.stdout
    assert healthy.report.verdict == "GO"
    assert healthy.report.findings == ()
    assert healthy.report.checks.errored == 0
    assert healthy.report.notes == ()
    assert healthy.report.ended == "finished"
    assert "GO" in healthy.stdout.splitlines()[1]
    assert "Traceback" not in healthy.stderr


def test_a_fault_that_is_ignored_for_a_reason_makes_no_no_go(tmp_path: Path) -> None:
    reason = "the tower is called so from next week on"
    ended = train(tmp_path / "run", *LEARNS, "model.freeze=['^tower']", f"checks.ignore.RS505={reason}")
    assert (ended.code, ended.report.verdict, ended.report.findings) == (0, "GO", ())
    assert [(f.code, f.reason) for f in ended.report.ignored] == [("RS505", reason)]
    assert reason in " ".join(ended.stdout.split())
    again = CliRunner().invoke(app, ["report", str(ended.folder)])
    assert (again.exit_code, reason in " ".join(again.stdout.split())) == (0, True)


def test_the_report_has_every_key_that_was_promised(healthy: Ended) -> None:
    report = healthy.plain
    assert set(report) >= {
        "schema_version", "verdict", "reason", "rule", "ce", "steps_per_epoch", "global_step", "findings", "checks",
        "trials", "environment", "timing",
    }  # fmt: skip
    assert set(report["rule"]) >= {"num_classes", "chance_ce", "max_ce", "window"}
    assert set(report["ce"]) >= {"first", "window_mean", "last", "trend_per_100_steps", "curve"}
    assert set(report["checks"]) >= {"passed", "failed", "skipped", "errored"}
    assert set(report["timing"]) >= {"startup_s", "train_s", "images_per_s", "data_wait_share"}
    assert report["rule"]["window"] == [20, 30]
    assert report["rule"]["num_classes"] == 20
    assert report["steps_per_epoch"] == 20  # 160 images, 8 a batch
    assert report["global_step"] == 30
    assert [step for step, _ in report["ce"]["curve"]] == list(range(1, 31))
    assert report["ce"]["first"] == pytest.approx(3.0, abs=0.1)  # log 20
    assert report["environment"]["device"]


def test_the_facts_are_judged_again_to_the_same_verdict(healthy: Ended) -> None:
    ledger = healthy.ledger
    assert ledger.unread_lines == 0
    again = judge(ledger, ended=True)
    assert again.verdict.word == healthy.report.verdict
    assert again.verdict.reason == healthy.report.reason
    run, end = ledger.first(RunFacts), ledger.last(EndFacts)
    assert run is not None
    assert run.command.startswith("reid-smoke run ")
    assert end is not None
    assert (end.how, end.step) == ("finished", 30)


def test_config_yaml_loads_back_as_the_same_config(healthy: Ended) -> None:
    loaded = load_config(healthy.folder / "config.yaml")
    assert loaded == load_config(healthy.folder.with_suffix(".yaml"), [*LEARNS, "loss.label_smoothing=0.1"])


def test_the_judged_ce_is_plain_under_label_smoothing(healthy: Ended) -> None:
    """Once the model knows more than chance, the smoothed loss lies above CE; CE itself may go to 0."""
    steps = healthy.ledger.steps[-10:]
    assert sum(s.loss - s.ce for s in steps) / len(steps) > 0.05


def test_a_stuck_training_is_a_no_go_in_a_process_of_its_own(warm: Warm, tmp_path: Path) -> None:
    """The story of configs/stuck.yaml: a warm-up by epoch that leaves the head at a hundredth of its lr."""
    (tmp_path / "stuck.yaml").write_text("name: stuck\n")
    stuck = ["optimizer.groups=[]", "optimizer.lr=1.04e-3", "schedule.name=warmup", "schedule.per=epoch"]
    more = ["schedule.warmup=10", "data.batch_size=4", "rule.window=[30,40]"]
    ended = warm.run("reid_smoke", "run", "stuck.yaml", *sets(*LEARNS, *stuck, *more), cwd=tmp_path)
    assert ended.returncode == 1, ended.stdout
    (folder,) = (tmp_path / "runs").iterdir()
    report = Report.model_validate_json((folder / "report.json").read_bytes())
    assert report.verdict == "NO-GO"
    assert report.primary is not None
    assert report.primary.code == "RS401"
    assert "1.04e-5" in report.primary.evidence.replace("e-05", "e-5")
    assert "RS401" in ended.stdout


def test_a_head_left_out_of_the_optimizer_ends_at_once(tmp_path: Path) -> None:
    groups = "optimizer.groups=[{match: ^backbone, lr: 1e-5}]"
    ended = train(tmp_path / "run", *QUICK, groups, "optimizer.lr=null")
    assert (ended.code, ended.first_cause) == (1, "RS302")
    assert 1 <= ended.report.global_step <= 5
    assert ended.report.ended == "stopped"
    assert "RS302" in ended.stderr  # said while it happens, too


def test_a_label_out_of_range_ends_before_the_first_step(tmp_path: Path) -> None:
    ended = train(tmp_path / "run", *QUICK, "model.num_classes=19")
    assert (ended.code, ended.first_cause) == (1, "RS101")
    assert ended.report.global_step == 0
    assert ended.ledger.steps == []
    dataset = ended.ledger.first(DatasetFacts)
    assert dataset is not None
    assert dataset.labels_out_of_range == 8  # the images of the twentieth identity


def test_weights_of_another_model_end_before_the_first_step(tmp_path: Path) -> None:
    other = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    torch.save(other.state_dict(), tmp_path / "other.pth")
    ended = train(tmp_path / "run", *QUICK, f"model.weights={tmp_path / 'other.pth'}")
    assert (ended.code, ended.first_cause) == (1, "RS504")
    assert ended.report.global_step == 0


def test_accumulation_longer_than_the_run_never_steps(tmp_path: Path) -> None:
    ended = train(tmp_path / "run", *QUICK, "train.accumulate=1000", "rule.window=[30,40]")
    assert (ended.code, ended.first_cause) == (1, "RS307")
    assert not any(s.applied for s in ended.ledger.steps)


def test_a_gradient_clipped_to_nothing_is_named(tmp_path: Path) -> None:
    ended = train(tmp_path / "run", *QUICK, "train.clip.norm=1e-12", "rule.window=[30,40]")
    assert (ended.code, ended.first_cause) == (1, "RS309")


def test_fp16_with_a_grad_scaler_on_the_cpu(tmp_path: Path) -> None:
    """A scale of 65536 that goes into the gradients and comes out again: nothing of it is in what is reported."""
    ended = train(tmp_path / "run", *QUICK, "train.amp=fp16")
    steps = ended.ledger.steps
    assert len(steps) == 10
    assert any(s.applied for s in steps)
    assert all((s.amp_scale or 0) >= 1 for s in steps)
    assert all(0 < s.head_grad < 100 for s in steps if s.applied)
    assert steps[0].loss == pytest.approx(steps[0].ce, rel=1e-3)
    assert ended.report.checks.errored == 0
    assert ended.report.notes == ()  # no probe failed


def test_the_same_seed_gives_the_same_curve_and_another_seed_another(tmp_path: Path) -> None:
    def curve(name: str, seed: int) -> list[float]:
        return [s.ce for s in train(tmp_path / name, *QUICK, f"seed={seed}", "data.augment=[flip,erase]").ledger.steps]

    first = curve("first", 3)
    assert curve("second", 3) == first
    assert curve("other", 4) != first


def test_sdm_is_computed_where_it_has_a_weight_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    real = losses.sdm_loss

    def counted(*arguments: Any) -> Any:
        calls.append(1)
        return real(*arguments)

    monkeypatch.setattr(losses, "sdm_loss", counted)
    train(tmp_path / "without", *QUICK, "data.sampler=pk", "loss.sdm_weight=0")
    assert calls == []
    ended = train(tmp_path / "with", *QUICK, "data.sampler=pk", "loss.sdm_weight=0.5")
    assert len(calls) == len(ended.ledger.steps) == 10
    assert all(s.loss > s.ce for s in ended.ledger.steps)  # judged is CE alone


@pytest.mark.parametrize(("corrupt", "unknown"), [(1, False), (4, True)])
def test_over_one_corrupt_image_in_a_hundred_is_unknown(tmp_path: Path, corrupt: int, unknown: bool) -> None:
    data = write_people(tmp_path / "data", 16)  # 128 images, 16 steps an epoch
    broken = sorted((data / "bounding_box_train").iterdir())[5 : 5 + corrupt]
    for path in broken:
        truncate(path)
    where = ["data.source=market1501", f"data.root={data}", "data.identities=null", "rule.window=[10,16]"]
    ended = train(tmp_path / "run", *QUICK, *where)
    assert (ended.code == 3) is unknown
    assert (ended.report.verdict == "UNKNOWN") is unknown
    assert ("could not be read" in ended.report.reason) is unknown
    seen_too = {finding.code: finding.evidence for finding in ended.report.findings}
    assert f"{corrupt} could not be read" in seen_too["RS103"]
    assert str(broken[0]) in seen_too["RS103"]
    assert ended.report.global_step == 16


def test_a_data_set_of_no_images_is_reported(tmp_path: Path) -> None:
    """Not one can be read: no batch comes, and nothing can be said of the training."""
    data = write_people(tmp_path / "data", 2)
    for path in (data / "bounding_box_train").iterdir():
        path.write_bytes(b"no image")
    ended = train(tmp_path / "run", *QUICK, "data.source=market1501", f"data.root={data}", "data.identities=null")
    assert ended.code == 3
    assert ended.report.reason.startswith("100.0% of the images could not be read")
    assert "RS103" in {finding.code for finding in ended.report.findings}
    assert "not one image of the data set could be read; 16 were tried" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_run_ends_with_its_window_wherever_that_ends(tmp_path: Path) -> None:
    assert train(tmp_path / "run", *QUICK, "rule.window=[7,13]").report.global_step == 13


def test_a_second_run_in_the_same_folder_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path / "run", "tiny", "name: first\n")
    for name in ("report.json", "report.html", "junit.xml"):
        (folder / name).write_text("of the first")
    (folder / "notes.txt").write_text("the user's")
    make_run_folder(folder, "tiny", "name: second\n")
    assert sorted(os.listdir(folder)) == ["config.yaml", "facts.jsonl", "notes.txt"]  # noqa: PTH208
    assert (folder / "config.yaml").read_text() == "name: second\n"


def test_runs_that_start_in_the_same_second_have_a_folder_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda *arguments: "20260101-000000")
    folders = [str(make_run_folder(None, "tiny")) for _ in range(3)]
    stem = "runs/20260101-000000-tiny"
    assert folders == [stem, f"{stem}-2", f"{stem}-3"]
