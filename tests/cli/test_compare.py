"""`reid-smoke compare` by a real process, on folders as runs leave them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_report import write
from tests.conftest import ReidSmoke
from tests.report import ledgers


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    return write(ledgers.stuck().ledger, tmp_path / "stuck"), write(ledgers.healthy().ledger, tmp_path / "demo")


def test_a_page_and_the_comparison_itself(reid_smoke: ReidSmoke, tmp_path: Path, runs: tuple[Path, Path]) -> None:
    done = reid_smoke("compare", *runs, "--html", "both.html")
    assert (done.returncode, done.stderr) == (0, "reid-smoke: the page: both.html\n")
    assert done.stdout.splitlines()[1] == "NO-GO → GO"
    page = (tmp_path / "both.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "<script" not in page
    assert page.count("<svg") >= 3


def test_json_and_nothing_else(reid_smoke: ReidSmoke, runs: tuple[Path, Path]) -> None:
    done = reid_smoke("compare", *runs, "--json")
    assert [run["folder"] for run in json.loads(done.stdout)["runs"]] == [str(run) for run in runs]


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        (["stuck"], ["takes 2 to 8 run folders"]),
        (["stuck", "nowhere", "."], ["nowhere: no such folder.", ".: this is no run's folder, but it holds some: "]),
        (["stuck", "demo", "--html", "no/where.html"], ["--html no/where.html: there is no folder no."]),
    ],
)
def test_bad_folders_end_with_2(
    reid_smoke: ReidSmoke, tmp_path: Path, runs: tuple[Path, Path], words: list[str], messages: list[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = reid_smoke("compare", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert all(message in done.stderr for message in messages)
    assert len(done.stderr.splitlines()) == len(messages)
    assert sorted(tmp_path.rglob("*")) == before
