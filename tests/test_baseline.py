"""Findings of a former report are known: they are marked, and known faults alone do not fail a CI."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from reid_smoke.baseline import read_baseline
from reid_smoke.cli.app import app
from reid_smoke.errors import UsageError
from reid_smoke.facts import BaselineFacts, FreezeFacts, UnreadableFacts, WeightsFacts
from reid_smoke.ledger import Ledger
from reid_smoke.report import prose
from reid_smoke.report.building import build_report
from reid_smoke.report.document import Report
from reid_smoke.report.formats import FORMATS
from reid_smoke.verdict import Judgement, judge
from tests.report.ledgers import CHANCE, dataset_facts, falling, flat, run_facts, step_facts, trained, written

LOST = WeightsFacts(path="w.pth", matched=3, missing=100, unexpected=100, wrong_shape=0)  # RS504, a fault
FROZEN = FreezeFacts(pattern="^tower", matched=())  # RS505, a fault
TORN = UnreadableFacts(path="a.jpg", reason="truncated")  # RS103, a warning
OUT_OF_RANGE = dataset_facts(labels_out_of_range=3, label_max=402)  # RS101, fatal


def known(**findings: str) -> BaselineFacts:
    return BaselineFacts(file="baseline.json", findings=findings)


def judged(ledger: Ledger) -> tuple[Judgement, Report]:
    judgement = judge(ledger, ended=True)
    return judgement, build_report(ledger, judgement.results, judgement.verdict)


@pytest.mark.parametrize(
    ("ledger", "verdict", "code"),
    [
        pytest.param(trained(falling, LOST), "NO-GO", 1, id="no baseline"),
        pytest.param(trained(falling, LOST, known(RS504="fail")), "NO-GO", 0, id="the only fault is known"),
        pytest.param(trained(falling, LOST, known(RS505="fail")), "NO-GO", 1, id="another is known"),
        pytest.param(trained(falling, LOST, FROZEN, known(RS504="fail")), "NO-GO", 1, id="one of two is new"),
        pytest.param(trained(falling, LOST, known(RS504="warn")), "NO-GO", 1, id="it was less grave"),
        pytest.param(trained(falling, LOST, known(RS504="fatal")), "NO-GO", 0, id="it was graver"),
        pytest.param(trained(falling, TORN, known()), "GO", 0, id="a new warning fails nothing"),
        pytest.param(trained(flat, known(RS202="fail")), "NO-GO", 1, id="CE at chance is known, and stays NO-GO"),
        pytest.param(trained(flat, LOST, known(RS202="fail", RS504="fail")), "NO-GO", 1, id="so it is beside others"),
        pytest.param(trained(falling, known(RS504="fail")), "GO", 0, id="nothing is found any more"),
    ],
)
def test_the_rule(ledger: Ledger, verdict: str, code: int) -> None:
    judgement, report = judged(ledger)
    assert (judgement.verdict.word, judgement.exit_code) == (verdict, code)
    if report.baseline is not None:
        assert report.baseline.excused == (verdict == "NO-GO" and code == 0)


def test_a_fatal_fault_that_ended_the_run_is_not_excused() -> None:
    judgement, report = judged(Ledger.of([run_facts(), known(RS101="fatal"), OUT_OF_RANGE, step_facts(1, CHANCE)]))
    assert [(f.code, f.known) for f in report.findings] == [("RS101", True)]
    assert (judgement.verdict.word, judgement.exit_code) == ("NO-GO", 1)


def test_the_report_says_what_is_known_new_and_gone() -> None:
    _, report = judged(trained(falling, LOST, FROZEN, TORN, known(RS504="fail", RS103="warn", RS401="fail")))
    assert {f.code: f.known for f in report.findings} == {"RS504": True, "RS505": False, "RS103": True}
    assert report.baseline is not None
    assert (report.baseline.known, report.baseline.new, report.baseline.gone) == (
        ("RS103", "RS504"),
        ("RS505",),
        ("RS401",),
    )


def test_a_no_go_without_anything_new_says_why_it_is_one() -> None:
    _, report = judged(trained(flat, known(RS202="fail")))
    said = prose.baseline(report)
    assert said is not None
    assert said.endswith("No fault is new, but without them the verdict would not be GO either: the exit code is 1")


def test_the_formats_for_ci_fail_only_on_what_is_new() -> None:
    ledger = trained(falling, LOST, TORN, known(RS504="fail"))
    _, report = judged(ledger)
    suite = ElementTree.fromstring(FORMATS["junit"](report, ledger, None))[0]
    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
    case = next(case for case in suite.iter("testcase") if "RS504" in str(case.get("name")))
    assert str(case.find("skipped").get("message")).startswith("known")  # type: ignore[union-attr]
    results = json.loads(FORMATS["sarif"](report, ledger, None))["runs"][0]["results"]
    assert {r["ruleId"]: r["baselineState"] for r in results} == {"RS504": "unchanged", "RS103": "new"}
    annotations = FORMATS["github"](report, ledger, None)
    assert "::error" not in annotations
    assert "::notice title=RS504" in annotations
    for format in ("html", "summary"):
        assert "RS504 known; RS103 new. Every fault is known and CE passes" in FORMATS[format](report, ledger, None)


def report(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_the_command_takes_a_former_report(tmp_path: Path) -> None:
    folder = written(trained(falling, LOST), tmp_path / "run")
    before = report(folder, "--format", "json")
    assert before.exit_code == 1
    (tmp_path / "baseline.json").write_text(before.stdout)
    after = report(folder, "--baseline", tmp_path / "baseline.json")
    assert after.exit_code == 0
    said = " ".join(after.stdout.split())
    assert "NO-GO" in said
    assert "First cause RS504 weights-not-loaded known" in said
    assert "RS504 known. Every fault is known and CE passes by itself: the exit code is 0" in said
    assert report(folder).exit_code == 1  # the run's own facts are as they were
    worse = written(trained(flat, LOST), tmp_path / "worse")
    said = " ".join(report(worse, "--baseline", tmp_path / "baseline.json").stdout.split())
    assert "RS504 known; RS202 new" in said


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = written(trained(falling, LOST), tmp_path / "run")
    for name, text in (("list.json", "[]"), ("other.json", '{"findings": []}'), ("torn.json", '{"verdict": "GO"')):
        (tmp_path / name).write_text(text)
        ended = report(folder, "--baseline", tmp_path / name)
        assert ended.exit_code == 2
        assert f"{name}: this is no report.json of reid-smoke" in ended.stderr
    with pytest.raises(UsageError, match=r"this is a folder. Name the report.json in it"):
        read_baseline(folder)
    with pytest.raises(UsageError, match=r"No such file.*copy it there"):
        read_baseline(tmp_path / "gone.json")
