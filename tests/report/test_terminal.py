from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from reid_smoke.report.document import Report
from reid_smoke.report.terminal import render_briefly, render_terminal
from tests.report.ledgers import CASES, healthy, stuck


def rendered(report: Report, width: int = 100) -> str:
    out = io.StringIO()
    render_terminal(report, Console(file=out, width=width), folder=Path("runs/20260105-1000-demo"))
    return out.getvalue()


@pytest.mark.parametrize("width", [100, 60, 40])
@pytest.mark.parametrize("name", CASES)
def test_golden(name: str, width: int, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}-{width}.txt", rendered(CASES[name]().report, width))


@pytest.mark.parametrize("encoding", ["cp437", "cp1252"])
def test_golden_in_the_encodings_of_old_consoles(encoding: str, golden: Callable[[str, str], None]) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    report = stuck().report.model_copy(update={"notes": ("A note – from 行人 to café × 2 → ½.",)})
    render_terminal(report, Console(file=stream, width=60), folder=Path("runs/demo"))
    stream.flush()
    golden(f"stuck-60-{encoding}.txt", raw.getvalue().decode(encoding))


@pytest.mark.parametrize("width", [40, 60, 80, 100, 250])
@pytest.mark.parametrize("name", CASES)
def test_no_line_leaves_the_screen_or_ends_in_blanks(name: str, width: int) -> None:
    for line in rendered(CASES[name]().report, width).splitlines():
        code = "{match:" in line or '{"params":' in line  # stands as it is, to be copied
        assert len(line) <= min(width, 100) or code
        assert line == line.rstrip()


@pytest.mark.parametrize("name", CASES)
def test_an_encoding_that_has_no_braille(name: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    report = CASES[name]().report.model_copy(update={"reason": "The folder 行人 → café × 2 is empty."})
    render_terminal(report, Console(file=stream, width=80))
    stream.flush()
    text = raw.getvalue().decode("ascii")
    assert "The folder ?? > caf? x 2 is empty." in text
    assert report.verdict in text


def test_colour_repeats_what_is_said_and_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def coloured() -> str:
        out = io.StringIO()
        console = Console(file=out, width=100, force_terminal=True, color_system="standard")
        render_terminal(stuck().report, console)
        return out.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;31m✖ NO-GO" in coloured()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31m" not in coloured()
    assert "✖ NO-GO" in coloured()


def test_no_escapes_where_there_is_no_terminal() -> None:
    assert "\x1b" not in rendered(stuck().report)


def test_markup_in_a_name_stays_text() -> None:
    report = healthy().report.model_copy(update={"reason": "[bold]x[/bold] [/nothing]", "command": "run [red]a.yaml"})
    assert "[bold]x[/bold] [/nothing]" in rendered(report)
    assert "run [red]a.yaml" in rendered(report)


def test_the_verdict_and_the_first_cause_alone() -> None:
    out = io.StringIO()
    render_briefly(stuck().report, Console(file=out, width=40))
    assert out.getvalue().splitlines() == [
        "NO-GO  The head's learning rate is too small for it to move. CE is 5.98; chance is log 400 = 5.99.",
        "RS405 head-lr-too-small  head lr 1.04e-5, |w| moved 0.00003 of itself in 300 steps; 1e-2 moves it 0.9",
    ]


def test_a_moved_window_is_explained() -> None:
    report = stuck().report
    moved = report.model_copy(
        update={"rule": report.rule.model_copy(update={"window": (588, 688), "moved_from": (200, 300)})}
    )
    assert "too few by step 300, so the window moved from steps 200 to 300" in " ".join(rendered(moved).split())


def test_nothing_here_needs_torch() -> None:
    modules = "document, json, live, mend, plot, prose, terminal"
    code = f"import sys; from reid_smoke.report import {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
