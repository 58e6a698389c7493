"""The plot's curve: one line over steps that were not measured, and a gap where there was no number."""

from __future__ import annotations

import pytest

from reid_smoke.report.plot import ASCII, UNICODE, Glyphs, Picture, Trace, draw

BLANKS = {" ", "\u2800", "┊", ":"}


def empty_columns(points: list[tuple[int, float | None]], glyphs: Glyphs) -> int:
    """Between the curve's first column and its last."""
    lines = [line.plain[7:] for line in draw(Picture([Trace(points)], []), 80, glyphs)][:8]
    width = max(map(len, lines))
    drawn = [any(line[at : at + 1] not in {"", *BLANKS} for line in lines) for at in range(width)]
    first, last = drawn.index(True), width - drawn[::-1].index(True)
    return drawn[first:last].count(False)


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_steps_that_were_left_out_leave_no_gap(glyphs: Glyphs) -> None:
    points: list[tuple[int, float | None]] = [(step, 6 - step / 100) for step in range(1, 301)]
    assert empty_columns(points, glyphs) == 0
    assert empty_columns([(step, ce) for step, ce in points if step <= 100 or step % 11 < 4], glyphs) == 0
    assert empty_columns([(step, ce) for step, ce in points if step <= 20 or step % 53 == 0], glyphs) == 0


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_where_there_was_no_number_there_is_a_gap(glyphs: Glyphs) -> None:
    points: list[tuple[int, float | None]] = [
        (step, None if 120 < step < 160 else 6 - step / 100) for step in range(1, 301) if step <= 100 or step % 11 < 4
    ]
    assert empty_columns(points, glyphs) > 3
