"""What `run` and `overfit` say together, from two reports beside each other."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reid_smoke.facts import RunFacts
from reid_smoke.ledger import Ledger
from reid_smoke.report.both_ways import MEANS, beside
from reid_smoke.report.building import build_report
from reid_smoke.report.document import Report
from reid_smoke.report.json import to_json
from reid_smoke.report.writing import write_whole
from reid_smoke.verdict import judge


def report(way_in: str, verdict: str, name: str = "demo") -> Report:
    ledger = Ledger.of([RunFacts.model_validate({"way_in": way_in, "name": name})])
    judgement = judge(ledger, ended=True)
    return build_report(ledger, judgement.results, judgement.verdict).model_copy(update={"verdict": verdict})


def place(runs: Path, folder: str, made: Report, age: int = 0) -> Path:
    """The report in a folder of its own, `age` seconds old."""
    (runs / folder).mkdir(parents=True)
    path = runs / folder / "report.json"
    write_whole(path, to_json(made))
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))
    return path.parent


@pytest.mark.parametrize(("of_run", "of_overfit"), MEANS)
def test_the_second_names_the_first_whichever_came_first(tmp_path: Path, of_run: str, of_overfit: str) -> None:
    run, overfit = report("run", of_run), report("overfit", of_overfit)
    first = place(tmp_path / "a", "first", run)
    assert beside(overfit, first.parent / "second") == f"{MEANS[of_run, of_overfit]} (Beside first.)"
    first = place(tmp_path / "b", "first", overfit)
    assert beside(run, first.parent / "second") == f"{MEANS[of_run, of_overfit]} (Beside first.)"


def test_what_it_means_when_only_one_passes() -> None:
    assert "the data, the labels" in MEANS["NO-GO", "GO"]
    assert "schedule" in MEANS["NO-GO", "GO"]
    assert "epochs" in MEANS["GO", "NO-GO"]


def test_the_newest_of_several_counts(tmp_path: Path) -> None:
    place(tmp_path, "z-old", report("overfit", "NO-GO"), age=100)
    place(tmp_path, "a-new", report("overfit", "GO"))
    said = beside(report("run", "GO"), tmp_path / "mine")
    assert said == "Both run and overfit pass. (Beside a-new.)"


@pytest.mark.parametrize(
    "other",
    [report("run", "GO"), report("overfit", "GO", name="another"), report("overfit", "UNKNOWN")],
    ids=["the same command", "another name", "no verdict"],
)
def test_what_cannot_be_compared_says_nothing(tmp_path: Path, other: Report) -> None:
    place(tmp_path, "other", other)
    assert beside(report("run", "GO"), tmp_path / "mine") is None


def test_without_a_verdict_of_its_own_it_says_nothing(tmp_path: Path) -> None:
    place(tmp_path, "other", report("overfit", "GO"))
    assert beside(report("run", "UNKNOWN"), tmp_path / "mine") is None


@pytest.mark.parametrize("content", ["", "{", "[]", "1", "null", json.dumps({"way_in": "overfit"}), "\0"])
def test_files_of_others_are_passed_over(tmp_path: Path, content: str) -> None:
    place(tmp_path, "good", report("overfit", "GO"), age=100)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "report.json").write_text(content)
    assert beside(report("run", "GO"), tmp_path / "mine") == "Both run and overfit pass. (Beside good.)"


def test_nothing_there_says_nothing(tmp_path: Path) -> None:
    assert beside(report("run", "GO"), tmp_path / "nowhere" / "mine") is None
