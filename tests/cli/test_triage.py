"""`reid-smoke triage` in processes of its own: the table, the exit codes, what bad input and signals leave behind."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

from reid_smoke.config.load import load_config
from reid_smoke.facts import TriageFacts, TrialFacts
from reid_smoke.ledger import Ledger
from reid_smoke.report.document import Report
from tests.cli.test_run import LEARNS, QUICK, sets, train
from tests.warm import Warm

STUCK = ["optimizer.lr=1e-9", "optimizer.groups=[]", "rule.window=[8,12]"]


def report_of(folder: Path) -> Report:
    return Report.model_validate_json((folder / "report.json").read_bytes())


def test_the_smallest_change_that_makes_ce_fall(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text("name: tiny\n")
    before = sorted(tmp_path.iterdir())
    asked = ["triage", "tiny.yaml", *sets(*LEARNS, *STUCK), "--out", "out", "--budget", "90"]
    ended = warm.run("reid_smoke", *asked, cwd=tmp_path)
    assert ended.returncode == 1, ended.stderr
    report = report_of(tmp_path / "out")
    assert (report.verdict, report.way_in) == ("NO-GO", "triage")
    assert report.trials[0].settings == ()
    assert not report.trials[0].learned
    assert report.proof is not None
    assert report.proof.trial == "the recipe's lr"
    assert "CE falls with the recipe's lr" in " ".join(ended.stdout.split())
    # The lines under the proof make the mended config.
    mended = load_config(tmp_path / "tiny.yaml", [*LEARNS, *STUCK, *report.proof.settings])
    assert mended.optimizer == load_config(None).optimizer
    # Nothing but the run's folder has come up, and what is in it can be judged once more to the same proof.
    assert sorted(tmp_path.iterdir()) == [tmp_path / "out", *before]
    ledger = Ledger.read(tmp_path / "out" / "facts.jsonl")
    assert [trial.name for trial in ledger.all(TrialFacts)] == [trial.name for trial in report.trials]
    assert ledger.last(TriageFacts) is not None


def test_a_budget_that_holds_no_trial_is_refused_before_anything_is_written(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text("name: tiny\n")
    larger = "model.backbone=resnet18"  # a whole trial of the small one fits into a second
    ended = warm.run("reid_smoke", "triage", "tiny.yaml", *sets(*LEARNS, larger), "--budget", "1", cwd=tmp_path)
    assert ended.returncode == 2
    assert "--budget 1 is too small for one trial" in ended.stderr
    assert "or more" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_sigterm_amid_the_trials_leaves_a_report(warm: Warm, tmp_path: Path) -> None:
    """Which goes the way of Ctrl-C."""
    (tmp_path / "tiny.yaml").write_text("name: tiny\n")
    # Nothing mends it, so that the trials go on and on: the images are all the same.
    endless = [*LEARNS, "optimizer.lr=0", "optimizer.groups=[]", "rule.window=[8,12]", "data.std=[1e9,1e9,1e9]"]
    process = warm.start("reid_smoke", "triage", "tiny.yaml", *sets(*endless), "--out", "out", cwd=tmp_path)
    try:
        facts, patience = tmp_path / "out" / "facts.jsonl", time.monotonic() + 120
        while not facts.exists() or b'"kind":"trial"' not in facts.read_bytes():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < patience, "no trial came"
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1, stderr  # the baseline's verdict stands
    assert "Traceback" not in stderr
    assert "Interrupted: this is what had been tried." in " ".join(stdout.split())
    report = report_of(tmp_path / "out")
    assert report.verdict == "NO-GO"
    assert report.trials


def test_a_no_go_of_run_offers_it_with_the_same_overrides(tmp_path: Path) -> None:
    ended = train(tmp_path / "run", *QUICK, "optimizer.lr=1e-9", "optimizer.groups=[]")
    assert ended.code == 1
    shown = " ".join(ended.stdout.split())
    assert "what mends it reid-smoke triage" in shown
    assert "--set optimizer.lr=1e-9 --set 'optimizer.groups=[]'" in shown
    assert json.loads((tmp_path / "run" / "report.json").read_text())["trials"] == []
