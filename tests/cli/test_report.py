"""`reid-smoke report` on the remains of runs."""

from __future__ import annotations

import json
from pathlib import Path

from reid_smoke.ledger import Ledger
from reid_smoke.verdict import EXIT_CODES, judge
from tests.conftest import ReidSmoke
from tests.report import ledgers


def write(ledger: Ledger, folder: Path, *, torn: bool = False) -> Path:
    folder.mkdir()
    facts = [fact for kind in ledger._by_kind.values() for fact in kind]
    text = "".join(fact.model_dump_json() + "\n" for fact in facts)
    (folder / "facts.jsonl").write_text(text[:-40] if torn else text)
    return folder


def test_a_past_run_is_judged_again(reid_smoke: ReidSmoke, tmp_path: Path) -> None:
    ledger = ledgers.healthy().ledger
    expected = judge(ledger, ended=True).verdict.word
    done = reid_smoke("report", write(ledger, tmp_path / "past"), "--format", "json")
    assert json.loads(done.stdout)["verdict"] == expected
    assert done.returncode == EXIT_CODES[expected]


def test_a_torn_last_line_is_counted_and_the_rest_shown(reid_smoke: ReidSmoke, tmp_path: Path) -> None:
    done = reid_smoke("report", write(ledgers.healthy().ledger, tmp_path / "torn", torn=True))
    assert "1 line of facts.jsonl could not be read" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stderr
