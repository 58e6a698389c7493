"""`reid-smoke explain`: what a reader of 80 columns gets to see of each fault."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from reid_smoke.checks.catalogue import Check, catalogue
from reid_smoke.checks.page import blocks
from reid_smoke.cli.app import app


def explained(*arguments: str) -> str:
    ended = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["explain", *arguments])
    assert ended.exit_code == 0
    return ended.output


@pytest.mark.parametrize("check", catalogue(), ids=lambda check: check.code)
def test_the_code_of_a_mend_is_whole_however_narrow_the_terminal(check: Check) -> None:
    lines = [line.strip() for line in explained(check.code).splitlines()]
    code = [line.strip() for kind, text in blocks(check) if kind == "code" for line in text.splitlines()]
    assert [line for line in code if line and line not in lines] == []


def test_prose_fits_and_nothing_trails() -> None:
    lines = explained("head-not-in-optimizer").splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert max(len(line) for line in lines) <= 80


def test_every_fault_is_listed() -> None:
    listed = explained()
    assert all(check.code in listed and check.slug in listed for check in catalogue())
