"""`reid-smoke report` on the remains of runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("format", ["summary", "json"])
def test_what_machines_read_is_utf_8_in_any_console(
    reid_smoke: ReidSmoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    folder = write(ledgers.healthy().ledger, tmp_path / "past")
    facts = folder / "facts.jsonl"
    facts.write_text(facts.read_text().replace('"name":"demo"', '"name":"行人"'), encoding="utf-8")
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252:backslashreplace" if format == "json" else "cp437")
    plain = subprocess.run(
        [sys.executable, "-m", "reid_smoke", "report", folder, "--format", format], capture_output=True, check=False
    )
    assert plain.stderr == b""
    assert ("行人" if format == "json" else "✅") in plain.stdout.decode("utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal by its POSIX name")
def test_a_narrow_terminal_that_wants_no_colour(tmp_path: Path) -> None:
    import pty

    folder = write(ledgers.stuck().ledger, tmp_path / "past")
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": "40", "NO_COLOR": "1", "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "reid_smoke", "report", str(folder)]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=theirs) as process:
        os.close(theirs)
        said = b""
        with suppress(OSError):  # Linux's end of a terminal
            while chunk := os.read(ours, 4096):
                said += chunk
    os.close(ours)
    text = re.sub(r"\x1b\[[12]?m|\x1b\[0m", "", said.decode())  # bold and faint are no colours
    assert process.returncode == 1
    assert "\x1b" not in text
    assert "NO-GO" in text
    assert max(map(len, text.splitlines())) <= 40
