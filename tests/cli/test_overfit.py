"""`reid-smoke overfit` on a few pedestrians: what it leaves out, what chance is there, and what it says beside run."""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from reid_smoke.cli.app import app
from reid_smoke.config.load import load_config
from reid_smoke.facts import DatasetFacts, RunFacts
from reid_smoke.ledger import Ledger
from reid_smoke.report.both_ways import MEANS
from reid_smoke.report.document import Report
from tests.cli.test_run import LEARNS, QUICK, Ended, sets, train
from tests.warm import Warm

# A plan that `run` would judge by its warm-up, smoothing, SDM and augmentation; overfit looks at none of them but CE.
PLANNED = [
    *LEARNS, "name=tiny", "data.augment=[flip,erase]", "data.sampler=pk", "data.instances=2", "loss.sdm_weight=0.5",
    "loss.label_smoothing=0.1", "schedule.name=warmup", "schedule.warmup=100000",
]  # fmt: skip


def overfit(folder: Path, *arguments: str, overrides: list[str]) -> Ended:
    result = CliRunner().invoke(app, ["overfit", *arguments, *sets(*overrides), "--out", str(folder)])
    assert isinstance(result.exception, SystemExit | None), result.output
    return Ended(result.exit_code, result.stdout, result.stderr, folder)


class Both(NamedTuple):
    """An overfit, and beside it a run of the same name that its warm-up holds at chance."""

    overfit: Ended
    run: Ended


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    runs = tmp_path_factory.mktemp("runs")
    first = overfit(runs / "overfit", "--n", "32", "--epochs", "8", overrides=PLANNED)
    slow = ["name=tiny", "schedule.name=warmup", "schedule.warmup=100000", "schedule.warmup_factor=1e-5"]
    return Both(first, train(runs / "run", *QUICK, *slow))


def test_a_few_samples_are_learnt_by_heart(both: Both) -> None:
    ended = both.overfit
    assert ended.code == 0, ended.stdout
    assert ended.report.verdict == "GO"
    assert ended.report.way_in == "overfit"
    assert ended.report.findings == ()
    assert len(ended.ledger.steps) == 8 * 4  # epochs, of 32 samples 8 a batch
    assert ended.report.rule.window == (29, 32)  # the last epoch


def test_chance_is_among_the_identities_of_the_samples(both: Both) -> None:
    dataset = both.overfit.ledger.first(DatasetFacts)
    assert dataset is not None
    assert dataset.images == 32
    assert dataset.identities == 8  # four images each
    assert both.overfit.report.rule.chance_ce == pytest.approx(log(8))
    assert both.overfit.report.ce.first == pytest.approx(log(8), abs=0.5)


def test_augmentation_sdm_and_schedule_are_left_out_and_the_rest_is_not(both: Both) -> None:
    config = load_config(both.overfit.folder / "config.yaml")
    assert config.data.augment == []
    assert config.loss.sdm_weight == 0
    assert config.schedule.name == "constant"
    assert config.optimizer == load_config(None).optimizer
    assert {s.lr_head for s in both.overfit.ledger.steps} == {1e-2}


def test_its_command_makes_it_again(both: Both) -> None:
    run = both.overfit.ledger.first(RunFacts)
    assert run is not None
    assert run.command.startswith("reid-smoke overfit --n 32 --epochs 8 --set ")


def test_what_it_means_that_overfit_passes_and_run_does_not(both: Both) -> None:
    assert both.run.code == 1, both.run.stdout
    assert both.run.report.notes == (f"{MEANS['NO-GO', 'GO']} (Beside overfit.)",)
    assert "overfit passes and run does not" in " ".join(both.run.stdout.split())
    assert both.overfit.report.notes == ()  # it came first


def test_a_batch_of_all_samples_is_judged_over_more_than_one_step(tmp_path: Path) -> None:
    ended = overfit(tmp_path / "of", "--n", "16", overrides=[*LEARNS, "data.batch_size=64"])
    assert len(ended.ledger.steps) == 10  # an epoch is one batch of 16
    assert ended.report.rule.window == (7, 10)
    assert ended.code == 0, ended.stdout


def test_a_pk_batch_larger_than_the_samples_is_cut_to_whole_identities(tmp_path: Path) -> None:
    pk = ["data.batch_size=64", "data.sampler=pk", "data.instances=4"]
    ended = overfit(tmp_path / "of", "--n", "18", overrides=[*QUICK, *pk])
    assert load_config(ended.folder / "config.yaml").data.batch_size == 16
    assert {s.batch for s in ended.ledger.steps} == {16}


def test_a_sick_training_cannot_and_the_cause_is_named(warm: Warm, tmp_path: Path) -> None:
    """A process of its own, and no config at all: the embedded pedestrians."""
    frozen = [*QUICK[1:], "optimizer.groups=[{match: ^backbone, lr: 1e-5}]", "optimizer.lr=null"]
    ended = warm.run("reid_smoke", "overfit", "--n", "32", "--device", "cpu", *sets(*frozen), cwd=tmp_path)
    assert ended.returncode == 1, ended.stdout
    (folder,) = (tmp_path / "runs").iterdir()
    report = Report.model_validate_json((folder / "report.json").read_bytes())
    assert report.primary is not None
    assert report.primary.code == "RS302"
    assert Ledger.read(folder / "facts.jsonl").unread_lines == 0
