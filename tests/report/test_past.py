"""Folders as they come back from a full disk, a kill, another version or another tool."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from reid_smoke.errors import ReidSmokeError
from reid_smoke.ledger import Ledger
from reid_smoke.report.formats import FORMATS
from reid_smoke.report.past import read_past_run
from reid_smoke.report.writing import write_reports
from tests.report import ledgers


def lines_of(case: ledgers.Case) -> list[str]:
    facts = [fact for kind in case.ledger._by_kind.values() for fact in kind]
    return [fact.model_dump_json() + "\n" for fact in facts]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with everything that a run leaves."""
    folder = tmp_path / "runs" / "demo"
    folder.mkdir(parents=True)
    (folder / "facts.jsonl").write_text("".join(lines_of(ledgers.healthy())))
    past = read_past_run(folder)
    write_reports(past.report, past.ledger, folder)
    return folder


def test_a_whole_run_is_judged_from_its_facts(run: Path) -> None:
    (run / "report.json").write_text((run / "report.json").read_text().replace('"GO"', '"NO-GO"'))
    past = read_past_run(run)
    assert (past.report.verdict, past.exit_code, past.report.notes) == ("GO", 0, ())


@pytest.mark.parametrize("share", [0.3, 0.999])
def test_facts_that_were_cut_off_beside_a_whole_report(run: Path, share: float) -> None:
    whole = (run / "facts.jsonl").read_bytes()
    (run / "facts.jsonl").write_bytes(whole[: int(share * len(whole))])
    past = read_past_run(run)
    assert (past.report.verdict, past.report.global_step) == ("GO", 300)
    assert "this is the report as report.json has it" in past.report.notes[-1]
    assert len(past.ledger.steps) >= 50
    (run / "report.json").write_text((run / "report.json").read_text()[:-100])  # now that is torn, too
    torn = read_past_run(run)
    assert torn.report.notes[0] == "1 line of facts.jsonl could not be read and was left out."
    assert torn.report.global_step == torn.ledger.steps[-1].step


@pytest.mark.parametrize("left", [None, "", "\0\0\n"])
def test_a_report_alone_is_shown_in_every_format(run: Path, left: str | None) -> None:
    (run / "facts.jsonl").unlink()
    if left is not None:
        (run / "facts.jsonl").write_text(left)
    past = read_past_run(run)
    assert past.report.verdict == "GO"
    assert "this is the report as report.json has it" in past.report.notes[-1]
    for format in FORMATS.values():
        assert format(past.report, past.ledger, run)


def test_a_newer_version_says_so(run: Path) -> None:
    first, *rest = (run / "facts.jsonl").read_text().splitlines(keepends=True)
    newer = json.loads(first) | {"schema_version": 2, "environment": {"reid-smoke": "7.1.0"}}
    (run / "facts.jsonl").write_text("".join([json.dumps(newer) + "\n", '{"kind": "quantum"}\n', *rest]))
    (run / "report.json").unlink()
    past = read_past_run(run)
    assert past.report.verdict == "GO"
    assert past.report.notes[0].startswith("This run was written by reid-smoke 7.1.0")
    assert past.report.notes[1] == "1 line of facts.jsonl could not be read and was left out."


def test_a_plan_that_cannot_be_read_is_missed(run: Path) -> None:
    whole = (run / "facts.jsonl").read_text()
    (run / "facts.jsonl").write_text(whole.replace('"way_in":"run"', '"way_in":"flight"', 1))
    assert read_past_run(run).report.name == "demo"  # as report.json has it
    (run / "report.json").unlink()
    assert any("judged by the usual window and bar" in note for note in read_past_run(run).report.notes)
    (run / "facts.jsonl").write_text(whole + '{"kind": "quantum"}\n{"kind": "foam"}\n')
    assert "knows no facts of kind foam, quantum" in read_past_run(run).report.notes[0]


def make(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("of", "code", "message"),
    [
        (lambda tmp: make(tmp / "x"), 2, "x: this folder is empty. A run's folder holds facts.jsonl and report.json."),
        (lambda tmp: make(tmp / "x", train_py=""), 2, "x: this is no folder of a reid-smoke run. It holds train.py."),
        (lambda tmp: tmp / "runs" / "dmeo", 2, "dmeo: no such folder. Did you mean"),
        (lambda tmp: tmp / "runs", 2, "runs: this is no run's folder, but it holds some:"),
        (lambda tmp: tmp / "runs" / "demo" / "report.json", 2, "report.json: this is a file. Name its folder:"),
        (lambda tmp: make(tmp / "x", facts_jsonl='{"loss": 1}\n'), 2, '(it begins with {"loss": 1}). Is it another'),
        (lambda tmp: make(tmp / "x", report_json='{"tests": []}'), 2, "report.json is no report of reid-smoke"),
        (lambda tmp: make(tmp / "x", facts_jsonl=""), 3, "The run ended before its first fact"),
    ],
)
def test_one_message_where_nothing_can_be_shown(
    run: Path, tmp_path: Path, of: Callable[[Path], Path], code: int, message: str
) -> None:
    with pytest.raises(ReidSmokeError) as raised:
        read_past_run(of(tmp_path))
    assert raised.value.exit_code == code
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_report_that_cannot_be_written_leaves_the_old_one(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ReidSmokeError) as raised:
        write_reports(ledgers.stuck().report, Ledger(), run)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    assert str(raised.value).count("No space left on device") == 3


def test_what_only_the_run_itself_could_see_is_kept(run: Path) -> None:
    saved = json.loads((run / "report.json").read_text())
    seen = {"notes": ["The script never called backward."], "environment": {"device": "cuda:0"}}
    (run / "report.json").write_text(json.dumps(saved | seen))
    past = read_past_run(run)
    assert past.report.notes == ("The script never called backward.",)
    assert past.report.environment == {"device": "cuda:0"}
