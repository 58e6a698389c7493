"""The comparison in a terminal: curves over each other, and tables with a column for each run.

Where the columns do not fit, each row becomes a few lines, one for each run. Curves are told apart by colour and by
the letter at their end; without colour they are drawn in their letters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from reid_smoke.report.comparing import words
from reid_smoke.report.comparing.document import Comparison, RunEntry, curve_of
from reid_smoke.report.plot import ASCII, BAR, CHANCE, FAINT, UNICODE, Glyphs, Mark, Picture, Trace, draw
from reid_smoke.report.terminal import VERDICTS, print_lines, wrapped

STYLES = ("bold cyan", "bold magenta", "bold blue", "bold yellow", "bold green", "bold red", "bold white", "bold")
ROWS = 12  # of cells: several curves need more room than one
GAP = 2  # cells between columns
LEAST = 5  # cells of a column


def render_comparison(comparison: Comparison, console: Console) -> None:
    """Print the comparison. Raises OSError where the console's stream cannot be written."""
    coloured = console.is_terminal and not console.no_color

    def lines(width: int, unicode: bool) -> Iterator[Text]:
        glyphs = UNICODE if unicode else ASCII
        yield from _lines(comparison, width, glyphs if coloured else replace(glyphs, braille=False), unicode)

    print_lines(lines, console)


def _lines(comparison: Comparison, width: int, glyphs: Glyphs, unicode: bool) -> Iterator[Text]:
    yield Text()
    yield from wrapped(Text(words.headline(comparison), style="bold"), "", width)
    yield from wrapped(Text(words.summary(comparison)), "", width)
    for run, style in zip(comparison.runs, STYLES, strict=False):
        yield Text()
        yield from _run(run, style, width, unicode)
    curves = draw(_picture(comparison), width - 2, glyphs)
    if curves:
        yield Text()
        yield from wrapped(Text(words.curves_heading(comparison), style=FAINT), "  ", width)
        yield from (Text("  ").append_text(line) for line in curves)
    yield Text()
    letters = tuple(run.letter for run in comparison.runs)
    yield from _table([("", letters), *words.figures(comparison)], width)
    heading, missing = words.config_heading(comparison)
    yield Text()
    yield Text(heading, style="bold")
    if missing:
        yield from wrapped(Text(missing), "  ", width)
    if comparison.config:
        yield from _table([("", letters), *words.rows(comparison.config, words.config_values)], width)
    yield Text()
    yield Text(words.seen_heading(comparison), style="bold")
    if comparison.seen:
        yield from _table([("", letters), *words.rows(comparison.seen, words.seen_values)], width)
    for heading, rows in words.finding_groups(comparison):
        yield Text()
        yield from wrapped(Text(heading, style="bold"), "", width)
        yield from _table([("", letters), *words.finding_rows(rows)], width)
    if not comparison.findings:
        yield Text()
        yield Text("No findings in any of them", style="bold")


def _run(run: RunEntry, style: str, width: int, unicode: bool) -> Iterator[Text]:
    glyph, plain, colour = VERDICTS[run.verdict]
    line = Text.assemble((run.letter, style), "  ", (f"{glyph if unicode else plain} {run.verdict}", f"bold {colour}"))
    yield from wrapped(Text(f"  {run.folder}"), line, width, indent=3)
    yield from wrapped(Text(run.reason), "   ", width)
    for note in run.notes:
        yield from wrapped(Text(note, style=FAINT), "   ", width)


def _picture(comparison: Comparison) -> Picture:
    below = comparison.below_chance
    traces = [
        Trace(curve, run.letter, run.letter, style)
        for run, style in zip(comparison.runs, STYLES, strict=False)
        if (curve := curve_of(run, below))
    ]
    marks = [Mark(mark.name, mark.height, CHANCE if mark.name == "chance" else BAR) for mark in comparison.marks]
    windows = {run.rule.window for run in comparison.runs}
    return Picture(traces, marks, windows.pop() if len(windows) == 1 else None, least=None if below else 0.0, rows=ROWS)


def _table(rows: Sequence[tuple[str, Sequence[str]]], width: int) -> Iterator[Text]:
    """A label and a value for each run. The first row names the runs; one whose values do not fit beside each other
    has them below it."""
    (_, letters), *body = rows
    label = max(cell_len(name) for name, _ in body)
    room = (width - 2 - label) // len(letters) - GAP
    short = [values for _, values in body if max(map(cell_len, values)) <= room]
    columns = [max([LEAST, *(cell_len(values[place]) for values in short)]) for place in range(len(letters))]
    if room < LEAST:
        short = []
    if short:
        yield _row("", letters, label, columns)
    for name, values in body:
        if values in short:
            yield _row(name, values, label, columns)
        else:
            yield from _stacked(letters, name, values, width)


def _row(name: str, values: Sequence[str], label: int, columns: Sequence[int]) -> Text:
    line = Text("  ").append(name + " " * (label - cell_len(name)), FAINT)
    for value, column, style in zip(values, columns, STYLES, strict=False):
        of_value = style if not name else FAINT if value == words.ABSENT else ""
        line.append(" " * GAP).append(value + " " * (column - cell_len(value)), of_value)
    line.rstrip()
    return line


def _stacked(letters: Sequence[str], name: str, values: Sequence[str], width: int) -> Iterator[Text]:
    yield from wrapped(Text(name, style=FAINT), "  ", width)
    for letter, value, style in zip(letters, values, STYLES, strict=False):
        yield from wrapped(Text(value), Text.assemble("    ", (letter, style), "  "), width)
