"""CE curves in a terminal's cells: braille dots, or a character a column where the encoding has none.

A braille cell is 2 dots wide and 4 high, so 60x8 cells give 120x32 points. Chance and bar are lines at their heights,
the window is the heavy stretch of the axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.text import Text

from reid_smoke.report.document import Report

WIDEST = 60  # cells


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
class Mark:
    """A line across the plot."""

    name: str
    ce: float
    style: str


@dataclass(frozen=True)
class Trace:
    """One curve. name: stands at its end, where several must be told apart."""

    points: Sequence[tuple[int, float | None]]  # (step, CE)
    name: str = ""
    glyph: str = "*"  # where there are no braille dots
    style: str = CURVE

    @property
    def seen(self) -> list[tuple[int, float]]:
        return [(step, ce) for step, ce in self.points if ce is not None]


@dataclass(frozen=True)
class Picture:
    """What is drawn: curves over steps, and what they are read against."""

    traces: Sequence[Trace]
    marks: Sequence[Mark]
    window: tuple[int, int] | None = None
    ends_at: int | None = None  # a step to be numbered
    not_finite_at: int | None = None
    least: float | None = 0.0  # no scale goes below it
    rows: int = 8


@dataclass
class _Canvas:
    """Cells to draw on, and the scales from steps and nats to them."""

    width: int
    rows: int
    glyphs: Glyphs
    top: float
    bottom: float
    first: int
    last: int
    cells: list[list[tuple[str, str]]] = field(init=False)

    def __post_init__(self) -> None:
        self.cells = [[(" ", "")] * self.width for _ in range(self.rows)]

    def row(self, ce: float, per_cell: int = 1) -> int:
        return _row(ce, self.top, self.bottom, self.rows * per_cell)

    def column(self, step: int, per_cell: int = 1) -> int:
        columns = self.width * per_cell
        return min(columns - 1, max(0, int((step - self.first) / max(1, self.last - self.first) * columns)))


def _row(ce: float, top: float, bottom: float, rows: int) -> int:
    return min(rows - 1, max(0, int((top - ce) / (top - bottom) * rows)))


def plot(report: Report, width: int, glyphs: Glyphs) -> list[Text]:
    """The lines of a report's plot, at most `width` cells wide; none where no CE was a number."""
    rule = report.rule
    marks = (("chance", rule.chance_ce, CHANCE), ("bar", rule.max_ce, BAR))
    picture = Picture(
        [Trace(report.ce.curve)],
        [Mark(name, ce, style) for name, ce, style in marks if ce is not None],
        rule.window,
        ends_at=report.global_step,
        not_finite_at=report.ce.not_finite_at,
    )
    return draw(picture, width, glyphs)


def draw(picture: Picture, width: int, glyphs: Glyphs) -> list[Text]:
    """The lines of the picture, at most `width` cells wide; none where no CE was a number."""
    seen = [point for trace in picture.traces for point in trace.seen]
    if not seen:
        return []
    heights = [ce for _, ce in seen] + [mark.ce for mark in picture.marks]
    margin = 0.04 * (max(heights) - min(heights)) or 0.5
    top, bottom = max(heights) + margin, min(heights) - margin
    if picture.least is not None:
        bottom = max(picture.least, bottom)
    named: dict[int, list[Mark]] = {}
    for mark in picture.marks:
        named.setdefault(_row(mark.ce, top, bottom, picture.rows), []).append(mark)
    ends: dict[int, list[Trace]] = {}
    for trace in picture.traces:
        if trace.name and trace.seen:
            ends.setdefault(_row(trace.seen[-1][1], top, bottom, picture.rows), []).append(trace)
    labels = {row: _label(named.get(row, []), ends.get(row, [])) for row in {*named, *ends}}
    below = max((label.cell_len for label in labels.values()), default=0) > width // 3  # the curves need the room
    if below:
        labels = {row: _label([], traces) for row, traces in ends.items()}
    last_steps = [trace.points[-1][0] for trace in picture.traces if trace.points]
    canvas = _Canvas(
        width=min(WIDEST, width - 7 - max((label.cell_len for label in labels.values()), default=0)),
        rows=picture.rows,
        glyphs=glyphs,
        top=top,
        bottom=bottom,
        first=min([step for step, _ in seen] + [*(picture.window or ())][:1]),
        last=max(last_steps + [*(picture.window or ())][1:]),
    )
    for edge in picture.window or ():
        for row in canvas.cells:
            row[canvas.column(edge)] = (glyphs.edge, FAINT)
    for number, here in named.items():
        canvas.cells[number] = [(glyphs.line, here[-1].style)] * canvas.width
    dots: dict[tuple[int, int], int] = {}
    for trace in picture.traces:
        _draw_curve(canvas, trace, dots)
    lines = [*_rows(canvas, named, labels), _axis(canvas, picture), _steps(canvas, picture)]
    return [*lines, *_key(picture.marks, width, glyphs)] if below else lines


def _label(here: Sequence[Mark], ending: Sequence[Trace]) -> Text:
    """The names of a row's lines, and of the curves that end there. The scale numbers the first line; a second one in
    the same row brings its own number."""
    label = Text(end="")
    for place, mark in enumerate(here):
        label.append(f" {mark.name}" if place == 0 else f", {mark.name} {mark.ce:.2f}", mark.style)
    for trace in ending:
        label.append(f" {trace.name}", trace.style)
    return label


def _key(marks: Sequence[Mark], width: int, glyphs: Glyphs) -> Iterator[Text]:
    """What the lines across are, below the plot."""
    line = Text(end="")
    for mark in marks:
        name = f" {glyphs.line} {mark.name} {mark.ce:.2f}"
        if line and line.cell_len + len(name) > width:
            yield line
            line = Text(end="")
        line.append(name, mark.style)
    yield line


def _draw_curve(canvas: _Canvas, trace: Trace, dots: dict[tuple[int, int], int]) -> None:
    """dots: those of all curves by cell, so that curves that share a cell are both seen."""
    points = trace.seen
    if not canvas.glyphs.braille:
        for column, ce in _means(canvas, trace.points, 1):
            canvas.cells[canvas.row(ce)][column] = (trace.glyph, trace.style)
        return
    before: tuple[int, int] | None = None
    for column, ce in _means(canvas, trace.points, 2):
        row = canvas.row(ce, 4)
        # A steep stretch is joined to its left neighbour; over a gap (steps without a number) nothing is joined.
        joined = range(row, row + 1)
        if before and column - before[0] <= max(2, 2 * canvas.width // max(1, len(points)) + 1):
            low, high = sorted((row, before[1]))
            joined = range(low, high + 1)
        for dot in joined:
            cell = (dot // 4, column // 2)
            dots[cell] = dots.get(cell, 0) | _DOTS[dot % 4][column % 2]
            canvas.cells[cell[0]][cell[1]] = (chr(0x2800 + dots[cell]), trace.style)
        before = (column, row)


def _means(canvas: _Canvas, points: Sequence[tuple[int, float | None]], per_cell: int) -> Iterator[tuple[int, float]]:
    """Mean CE of the steps that share a column, by column; over steps that were not measured a straight line."""
    columns: dict[int, list[float]] = {}
    before: tuple[int, int, float] | None = None  # step, column, CE; None after a step without a number
    for step, ce in points:
        if ce is None:
            before = None
            continue
        column = canvas.column(step, per_cell)
        if before is not None and step > before[0] + 1:
            for between in range(before[1] + 1, column):
                columns[between] = [before[2] + (ce - before[2]) * (between - before[1]) / (column - before[1])]
        columns.setdefault(column, []).append(ce)
        before = (step, column, ce)
    for column, values in sorted(columns.items()):
        yield column, sum(values) / len(values)


def _rows(canvas: _Canvas, named: dict[int, list[Mark]], labels: dict[int, Text]) -> Iterator[Text]:
    glyphs = canvas.glyphs
    for number, cells in enumerate(canvas.cells):
        here = named.get(number, [])
        # Only the ends of the scale are named beside the lines, and only where no line stands near.
        near = any(abs(number - other) < 2 for other in named)
        end = {0: canvas.top, canvas.rows - 1: canvas.bottom}.get(number) if not near else None
        value, style = (here[0].ce, here[0].style) if here else (end, FAINT)
        line = Text(f"{value:5.2f} " if value is not None else " " * 6, style=style, end="")
        line.append(glyphs.tick if here or end is not None else glyphs.axis, FAINT)
        for glyph, cell_style in cells:
            line.append(glyph, cell_style)
        line.append_text(labels.get(number, Text()))
        line.rstrip()
        yield line


def _axis(canvas: _Canvas, picture: Picture) -> Text:
    glyphs = canvas.glyphs
    line = Text(" " * 6 + glyphs.corner, style=FAINT, end="")
    opens, closes = map(canvas.column, picture.window) if picture.window else (canvas.width, -1)
    broken = None if picture.not_finite_at is None else canvas.column(picture.not_finite_at)
    for column in range(canvas.width):
        inside = opens <= column <= closes
        if column == broken:
            line.append(glyphs.broken, BROKEN)
        else:
            line.append(glyphs.window if inside else glyphs.floor, "bold" if inside else FAINT)
    return line


def _steps(canvas: _Canvas, picture: Picture) -> Text:
    """The numbers under the axis; where two would touch, the one that matters more stands."""
    cells = [" "] * (7 + canvas.width)

    def write(text: str, column: int) -> None:
        start = max(0, min(7 + column - len(text) // 2, len(cells) - len(text)))
        around = cells[max(0, start - 1) : start + len(text) + 1]
        if all(cell == " " for cell in around):
            cells[start : start + len(text)] = text

    ends_at = canvas.last if picture.ends_at is None else picture.ends_at
    first = () if picture.not_finite_at is None else (picture.not_finite_at,)
    for step in (*first, *(picture.window or ()), canvas.last, ends_at):
        write(str(step), canvas.column(step))
    if picture.window:
        write("window", sum(map(canvas.column, picture.window)) // 2)
    write(f"step {canvas.first}", 2)
    return Text("".join(cells).rstrip(), style=FAINT, end="")
