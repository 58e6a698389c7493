"""The report in a terminal: verdict, CE against chance and bar, first cause and mend, the rest in a line each.

Every line is laid out here rather than by rich's tables, so that no line ends in blanks and a report pasted into an
issue reads as it did on the screen. Colour only ever repeats what a word or a glyph says.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.text import Text

from reid_smoke.report import prose, prose_handover
from reid_smoke.report.document import FindingEntry, Report
from reid_smoke.report.mend import blocks
from reid_smoke.report.plot import ASCII, FAINT, UNICODE, plot

WIDEST = 100  # cells; longer lines are hard to read
LEAST_NAME = 14  # cells of a trial's name that its figures may stand beside
LABELS, NEAR = 20, 10  # cells, the left column of labels: of the figures, and of the cause

VERDICTS = {"GO": ("✔", "+", "green"), "NO-GO": ("✖", "x", "red"), "UNKNOWN": ("?", "?", "yellow")}
# One cell for one cell, so that the styles' places stay right.
_PLAIN = str.maketrans("–—×·→…≤≥≈‘’“”", "--x.>.<>~''\"\"")


def render_terminal(report: Report, console: Console, *, folder: Path | None = None) -> None:
    """Print the report. `folder`: where its files lie, to be named at the end.

    Raises OSError where the console's stream cannot be written.
    """
    print_lines(lambda width, unicode: _lines(report, width, unicode=unicode, folder=folder), console)


def render_briefly(report: Report, console: Console) -> None:
    """The verdict with its reason and the first cause with its evidence, a line each, for whoever wants no more.

    Raises OSError where the console's stream cannot be written.
    """
    cause = report.primary
    _, _, colour = VERDICTS[report.verdict]
    lines = [Text.assemble((report.verdict, f"bold {colour}"), f"  {report.reason}")]
    if cause is not None:
        lines.append(Text.assemble((f"{cause.code} {cause.slug}", "bold"), f"  {cause.evidence}"))
    for line in lines:
        console.print(_fit_encoding(line, console.encoding), soft_wrap=True, highlight=False)


def print_lines(lines: Callable[[int, bool], Iterable[Text]], console: Console) -> None:
    """Print what `lines` makes of a width in cells and of whether the stream can say more than ASCII and umlauts."""
    encoding = console.encoding
    unicode = not console.legacy_windows and _encodes("⣿┄┤└━┊×✔✖", encoding)
    for line in lines(max(30, min(WIDEST, console.width)), unicode):
        console.print(_fit_encoding(line, encoding), soft_wrap=True, highlight=False)


def _encodes(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _fit_encoding(line: Text, encoding: str) -> Text:
    """The line with what its stream cannot say replaced: a name in another script must not cost the report."""
    if not _encodes(line.plain, encoding):
        line.plain = line.plain.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    return line


def _lines(report: Report, width: int, *, unicode: bool, folder: Path | None) -> Iterator[Text]:
    yield from _heading(report, width, unicode)
    curve = plot(report, width - 2, UNICODE if unicode else ASCII)
    if curve:
        yield Text()
        yield from (Text("  ").append_text(line) for line in curve)
    yield Text()
    yield from _facts(
        width,
        ("CE", prose.ce(report)),
        ("trend", prose.trend(report)),
        ("identities in play", prose.in_play(report)),
        ("bar", prose.bar(report)),
        ("step", prose.steps(report)),
        ("looks per identity", prose.looks(report)),
        ("ranks", prose.ranks(report)),
        *(("" if number else "retrieval", line) for number, line in enumerate(prose.retrieval(report))),
    )
    yield from _cause(report, width)
    yield from _others(report, width)
    yield from _trials(report, width)
    if report.verdict == "GO":
        yield Text()
        yield from wrapped(_prose(prose.go(report)), "  ", width)
        yield from _handover(report, width)
    elif report.verdict == "UNKNOWN" and report.primary is None:
        yield Text()
        yield from _facts(width, ("missing", prose.missing(report)), ("what to do", prose.what_to_do(report)))
    for note in report.notes:
        yield Text()
        yield from wrapped(_prose(note), "  ", width)
    yield Text()
    yield from _facts(
        width,
        ("checks", prose.checks(report.checks)),
        ("baseline", prose.baseline(report)),
        *((f"  {entry.code} errored", entry.error) for entry in report.checks.results if entry.error),
        ("time", prose.timing(report.timing)),
        ("what mends it", prose.offer(report)),
        ("report", str(folder) if folder else None),
    )


def _heading(report: Report, width: int, unicode: bool) -> Iterator[Text]:
    glyph, plain, colour = VERDICTS[report.verdict]
    yield Text()
    line = Text()
    line.append(f"{glyph if unicode else plain} {report.verdict}", f"bold {colour}")
    yield _cut(line.append(f"  {report.command or report.name}", FAINT), width)
    yield Text()
    yield from wrapped(Text(report.reason, style="bold"), "  ", width)


def _cause(report: Report, width: int) -> Iterator[Text]:
    cause = report.primary
    if cause is None:
        return
    yield Text()
    known = ("  known", FAINT) if cause.known else ""
    yield Text.assemble(("First cause", "bold red"), f"  {cause.code} {cause.slug}", known)
    yield from wrapped(Text(cause.title, style="bold"), "  ", width)
    yield Text()
    is_said = cause.step in (0, report.global_step) or f"step {cause.step}" in cause.evidence
    yield from _facts(
        width,
        ("evidence", cause.evidence),
        ("seen at", None if is_said else f"step {cause.step}"),
        labels=NEAR,
    )
    yield from _mend(cause.mend, width)


def _others(report: Report, width: int) -> Iterator[Text]:
    rest = [finding for finding in report.findings if not finding.primary]
    faults = [finding for finding in rest if finding.severity != "warn"]
    follows = [finding for finding in faults if finding.because_of]
    groups = (
        ("Follows from it", "bold", follows),
        ("Other faults", "bold red", [finding for finding in faults if not finding.because_of]),
        ("Seen too", "bold yellow", [finding for finding in rest if finding.severity == "warn"]),
    )
    for heading, style, findings in groups:
        if findings:
            yield Text()
            yield Text(heading, style=style)
            yield from (_one_line(finding, report, width) for finding in findings)
    if report.ignored:
        yield Text()
        yield Text("Ignored, for a reason", style="bold")
        for finding in report.ignored:
            yield _one_line(finding, report, width)
            yield from wrapped(_prose(finding.reason), Text(" " * 9), width)


def _one_line(finding: FindingEntry, report: Report, width: int) -> Text:
    line = Text.assemble((f"  {finding.code}", FAINT), f"  {finding.title}")
    if finding.known:
        line.append(" (known)", FAINT)
    if finding.because_of and report.primary and finding.because_of != report.primary.code:
        line.append(f" (from {finding.because_of})", FAINT)
    line.append(f": {finding.evidence}", FAINT)
    return _cut(line, width)


def _trials(report: Report, width: int) -> Iterator[Text]:
    """One table for each kind of batches, and what it proves."""
    name_width = min(60, width - 36)
    for _, group in groupby(report.trials, key=lambda trial: trial.batches):
        rows = list(group)
        yield Text()
        yield _cut(Text("Trials", style="bold").append(f"  {prose.batches(rows)}", FAINT), width)
        for row in rows:
            # The first line has the figures, a long name goes on below it.
            colour = "green" if row.learned else "red" if row.error else FAINT
            figures, outcome = prose.trial(row)
            if name_width < LEAST_NAME:
                yield from wrapped(_prose(row.name), "  ", width)
                yield _cut(Text(f"    {figures:<15}").append(outcome, colour), width)
                continue
            names = list(wrapped(_prose(row.name), "  ", name_width + 2))
            names[0].pad_right(name_width + 4 - names[0].cell_len)
            names[0].append(f"{figures:<15}").append(outcome, colour)
            yield from (_cut(line, width) for line in names)
    if report.proof is not None:
        yield Text()
        yield from _facts(width, ("proof", report.proof.conclusion), labels=NEAR)
        yield from _facts(width, *(("", f"`--set {shlex.quote(s)}`") for s in report.proof.settings), labels=NEAR)


def _handover(report: Report, width: int) -> Iterator[Text]:
    """A line for each weight; in a narrow terminal the last columns are cut."""
    found = report.handover
    if found is None:
        return
    yield Text()
    yield from wrapped(Text("Hand-over", style="bold").append(f"  {prose_handover.headline(found)}", FAINT), "", width)
    yield Text()
    rows = [prose_handover.COLUMNS, *(prose_handover.row(stage) for stage in found.stages)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    colours = [FAINT, *({"safe": "green", "held": "red"}.get(stage.outcome, FAINT) for stage in found.stages)]
    for row, colour in zip(rows, colours, strict=True):
        line = Text(" ")
        for place, (cell, cell_width) in enumerate(zip(row, widths, strict=True)):
            style = FAINT if row is rows[0] else colour if place == 1 else ""
            text = cell.ljust(cell_width) if place == 1 else cell.rjust(cell_width)
            line.append(" " if place == 0 else "  ").append(text, style)
        yield _cut(line, width)
    for said in prose_handover.says(found):
        yield Text()
        yield from wrapped(_prose(said), "  ", width)


def _mend(mend: str, width: int) -> Iterator[Text]:
    """Prose wrapped beside the label, code as it stands below it."""
    label, after_code = "mend", False
    for language, block in blocks(mend):
        if language is None:
            if after_code:
                yield Text()
            yield from _facts(width, (label, block), labels=NEAR)
        else:
            if label:
                yield from _facts(width, (label, ""), labels=NEAR)
            yield Text()
            from rich.syntax import Syntax  # which lists some hundred languages first

            code = Syntax("", language, theme="ansi_dark", background_color="default").highlight(block)
            for line in code.split("\n"):
                line.rstrip()
                yield Text(" " * (NEAR + 2)).append_text(line) if line.plain else Text()
        label, after_code = "", language is not None


def _facts(width: int, *pairs: tuple[str, str | None], labels: int = LABELS) -> Iterator[Text]:
    """A label and what it is, aligned; in a narrow terminal below each other. Those without anything to say are left
    out."""
    for label, said in pairs:
        if said is None:
            continue
        if 2 + labels > width * 2 // 5:
            if label:
                yield Text("  ").append(label, FAINT)
            yield from wrapped(_prose(said), "    ", width)
            continue
        lead = Text("  ").append(f"{label:<{labels}}", FAINT)
        yield from wrapped(_prose(said), lead, width)


def _cut(line: Text, width: int) -> Text:
    if line.cell_len > width:
        line.truncate(width - 3)
        line.rstrip()
        line.append("...", FAINT)
    line.rstrip()
    return line


def _prose(text: str) -> Text:
    """Plain text in which `code` stands out."""
    line = Text(text)
    line.highlight_regex(r"`[^`]+`", "cyan")
    return line


def wrapped(text: Text, lead: Text | str, width: int, *, indent: int | None = None) -> Iterator[Text]:
    """The text behind its lead, its further lines indented as far, or by `indent` cells."""
    lead = Text(lead) if isinstance(lead, str) else lead
    indent = lead.cell_len if indent is None else indent
    # Rich wraps by a console's rules; one of its own keeps the caller's out of it. Over-long words are folded.
    for number, line in enumerate(
        text.wrap(Console(file=StringIO()), width - lead.cell_len, overflow="fold") or [Text()]
    ):
        line.rstrip()
        whole = (lead if number == 0 else Text(" " * indent)).append_text(line)
        whole.rstrip()
        yield whole
