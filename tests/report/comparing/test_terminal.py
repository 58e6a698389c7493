from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from rich.console import Console

from reid_smoke.report.comparing.document import compare
from reid_smoke.report.comparing.terminal import render_comparison
from reid_smoke.report.past import PastRun


def rendered(runs: list[PastRun], width: int, **options: bool) -> str:
    out = io.StringIO()
    render_comparison(compare(runs), Console(file=out, width=width, **options))
    return out.getvalue()


@pytest.mark.parametrize("width", [100, 40])
@pytest.mark.parametrize("of", ["mended", "unlike"])
def test_golden(of: str, width: int, request: pytest.FixtureRequest, golden: Callable[[str, str], None]) -> None:
    golden(f"compare-{of}-{width}.txt", rendered(request.getfixturevalue(of), width))


@pytest.mark.parametrize("width", [40, 60, 80, 250])
def test_no_line_leaves_the_screen(unlike: list[PastRun], width: int) -> None:
    for line in rendered(unlike, width).splitlines():
        assert len(line) <= min(width, 100)
        assert line == line.rstrip()


def test_curves_are_told_apart_without_colour_too(mended: list[PastRun], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = rendered(mended, 100, force_terminal=True)
    assert "⠁" <= max(coloured) <= "⣿"  # braille dots, in two colours
    assert "\x1b[1;36m" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    plain = rendered(mended, 100, force_terminal=True)
    assert max(plain) < "⠀"
    letters = re.sub(r"\x1b\[[\d;]*m", "", plain)
    assert "AAAAAAAA" in letters
    assert "BBB" in letters
