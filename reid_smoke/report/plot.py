"""The CE curve in a terminal's cells: braille dots, or plain ASCII where the encoding has none.

A braille cell is 2 dots wide and 4 high, so 60x8 cells give 120x32 points. Chance and bar are lines at their heights,
the window is the heavy stretch of the axis.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.text import Text

from reid_smoke.report.document import Report

ROWS = 8


@dataclass(frozen=True)
class Glyphs:
    """What the plot is drawn with. Every glyph is one cell wide."""

    braille: bool
    line: str
    axis: str
    tick: str
    corner: str
    floor: str
    window: str
    edge: str
    broken: str


UNICODE = Glyphs(True, "┄", "│", "┤", "└", "─", "━", "┊", "×")
ASCII = Glyphs(False, "-", "|", "+", "+", "-", "=", ":", "x")

CURVE, CHANCE, BAR, FAINT, BROKEN = "bold cyan", "yellow", "green", "bright_black", "bold red"

# The bit of each dot in a braille cell, by [row][column]; U+2800 is the empty cell.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


@dataclass(frozen=True)
class _Mark:
    """A line across the plot."""

    name: str
    ce: float
    style: str


@dataclass
class _Canvas:
    """Cells to draw on, and the scales from steps and nats to them."""

    width: int
    glyphs: Glyphs
    top: float
    bottom: float
    first: int
    last: int
    cells: list[list[tuple[str, str]]] = field(init=False)

    def __post_init__(self) -> None:
        self.cells = [[(" ", "")] * self.width for _ in range(ROWS)]

    def row(self, ce: float, per_cell: int = 1) -> int:
        return _row(ce, self.top, self.bottom, ROWS * per_cell)

    def column(self, step: int, per_cell: int = 1) -> int:
        columns = self.width * per_cell
        return min(columns - 1, max(0, int((step - self.first) / max(1, self.last - self.first) * columns)))


def _row(ce: float, top: float, bottom: float, rows: int) -> int:
    return min(rows - 1, max(0, int((top - ce) / (top - bottom) * rows)))


def plot(report: Report, width: int, glyphs: Glyphs) -> list[Text]:
    """The plot's lines, at most `width` cells wide; none where no CE was a number."""
    points = [(step, ce) for step, ce in report.ce.curve if ce is not None]
    if not points:
        return []
    marks = _marks(report)
    heights = [ce for _, ce in points] + [mark.ce for mark in marks]
    margin = 0.04 * (max(heights) - min(heights)) or 0.5
    top, bottom = max(heights) + margin, max(0.0, min(heights) - margin)
    named = _by_row(marks, top, bottom)
    labels = max((_label(here).cell_len for here in named.values()), default=0)
    canvas = _Canvas(
        width=min(60, width - 7 - labels),
        glyphs=glyphs,
        top=top,
        bottom=bottom,
        first=min(points[0][0], report.rule.window[0]),
        last=max(report.ce.curve[-1][0], report.rule.window[1]),
    )
    for edge in report.rule.window:
        for row in canvas.cells:
            row[canvas.column(edge)] = (glyphs.edge, FAINT)
    for number, here in named.items():
        canvas.cells[number] = [(glyphs.line, here[-1].style)] * canvas.width
    _draw_curve(canvas, points)
    return [*_rows(canvas, named), _axis(canvas, report), _steps(canvas, report)]


def _marks(report: Report) -> list[_Mark]:
    marks = (("chance", report.rule.chance_ce, CHANCE), ("bar", report.rule.max_ce, BAR))
    return [_Mark(name, ce, style) for name, ce, style in marks if ce is not None]


def _by_row(marks: list[_Mark], top: float, bottom: float) -> dict[int, list[_Mark]]:
    rows: dict[int, list[_Mark]] = {}
    for mark in marks:
        rows.setdefault(_row(mark.ce, top, bottom, ROWS), []).append(mark)
    return rows


def _label(here: list[_Mark]) -> Text:
    """The names of a row's lines. The scale numbers the first; a second one in the same row brings its own number."""
    label = Text(end="")
    for place, mark in enumerate(here):
        label.append(f" {mark.name}" if place == 0 else f", {mark.name} {mark.ce:.2f}", mark.style)
    return label


def _draw_curve(canvas: _Canvas, points: list[tuple[int, float]]) -> None:
    if not canvas.glyphs.braille:
        for column, ce in _means(canvas, points, 1):
            canvas.cells[canvas.row(ce)][column] = ("*", CURVE)
        return
    bits: dict[tuple[int, int], int] = {}
    before: tuple[int, int] | None = None
    for column, ce in _means(canvas, points, 2):
        row = canvas.row(ce, 4)
        # A steep stretch is joined to its left neighbour; over a gap (steps without a number) nothing is joined.
        joined = range(row, row + 1)
        if before and column - before[0] <= max(2, 2 * canvas.width // max(1, len(points)) + 1):
            low, high = sorted((row, before[1]))
            joined = range(low, high + 1)
        for dot in joined:
            cell = (dot // 4, column // 2)
            bits[cell] = bits.get(cell, 0) | _DOTS[dot % 4][column % 2]
        before = (column, row)
    for (row, column), dots in bits.items():
        canvas.cells[row][column] = (chr(0x2800 + dots), CURVE)


def _means(canvas: _Canvas, points: list[tuple[int, float]], per_cell: int) -> Iterator[tuple[int, float]]:
    """Mean CE of the steps that share a column, by column."""
    columns: dict[int, list[float]] = {}
    for step, ce in points:
        columns.setdefault(canvas.column(step, per_cell), []).append(ce)
    for column, values in sorted(columns.items()):
        yield column, sum(values) / len(values)


def _rows(canvas: _Canvas, named: dict[int, list[_Mark]]) -> Iterator[Text]:
    glyphs = canvas.glyphs
    for number, cells in enumerate(canvas.cells):
        here = named.get(number, [])
        # Only the ends of the scale are named beside the lines, and only where no line stands near.
        near = any(abs(number - other) < 2 for other in named)
        end = {0: canvas.top, ROWS - 1: canvas.bottom}.get(number) if not near else None
        value, style = (here[0].ce, here[0].style) if here else (end, FAINT)
        line = Text(f"{value:5.2f} " if value is not None else " " * 6, style=style, end="")
        line.append(glyphs.tick if here or end is not None else glyphs.axis, FAINT)
        for glyph, cell_style in cells:
            line.append(glyph, cell_style)
        line.append_text(_label(here))
        line.rstrip()
        yield line


def _axis(canvas: _Canvas, report: Report) -> Text:
    glyphs, (opens, closes) = canvas.glyphs, map(canvas.column, report.rule.window)
    line = Text(" " * 6 + glyphs.corner, style=FAINT, end="")
    broken = None if report.ce.not_finite_at is None else canvas.column(report.ce.not_finite_at)
    for column in range(canvas.width):
        inside = opens <= column <= closes
        if column == broken:
            line.append(glyphs.broken, BROKEN)
        else:
            line.append(glyphs.window if inside else glyphs.floor, "bold" if inside else FAINT)
    return line


def _steps(canvas: _Canvas, report: Report) -> Text:
    """The numbers under the axis; where two would touch, the one that matters more stands."""
    opens, closes = report.rule.window
    cells = [" "] * (7 + canvas.width)

    def write(text: str, column: int) -> None:
        start = max(0, min(7 + column - len(text) // 2, len(cells) - len(text)))
        around = cells[max(0, start - 1) : start + len(text) + 1]
        if all(cell == " " for cell in around):
            cells[start : start + len(text)] = text

    if report.ce.not_finite_at is not None:
        write(str(report.ce.not_finite_at), canvas.column(report.ce.not_finite_at))
    for step in (opens, closes, canvas.last, report.global_step):
        write(str(step), canvas.column(step))
    write("window", (canvas.column(opens) + canvas.column(closes)) // 2)
    write(f"step {canvas.first}", 2)
    return Text("".join(cells).rstrip(), style=FAINT, end="")
