"""For GitHub Actions: annotations as workflow commands, and the job's summary in Markdown."""

from __future__ import annotations

from pathlib import Path

from reid_smoke.ledger import Ledger
from reid_smoke.report import prose, prose_handover
from reid_smoke.report.config_mend import config_mend
from reid_smoke.report.document import FindingEntry, Report
from reid_smoke.report.handover import Handover
from reid_smoke.report.mend import blocks
from reid_smoke.report.places import Place, place_of_cause, place_of_crash

WORDS = {"GO": "✅ GO", "NO-GO": "❌ NO-GO", "UNKNOWN": "❔ UNKNOWN"}


def to_annotations(report: Report, ledger: Ledger | None = None, folder: Path | None = None) -> str:
    """A line for each finding, which GitHub shows at the line of the YAML where the fault is in the config. What is
    known is a notice, what is ignored is left out."""
    place = place_of_cause(report, folder)
    lines = [
        _command(
            "notice" if finding.known else "warning" if finding.severity == "warn" else "error",
            f"{finding.code} {finding.slug}",
            f"{finding.title}: {finding.evidence}",
            place if finding.primary else None,
        )
        for finding in report.findings
        if not finding.because_of
    ]
    if report.crash is not None:
        title = f"{report.crash.exception} at step {report.crash.step + 1}"
        lines.append(_command("error", title, report.crash.message, place_of_crash(report)))
    if not any(line.startswith("::error") for line in lines):
        excused = report.baseline is not None and report.baseline.excused
        kind = "notice" if excused else {"GO": "notice", "NO-GO": "error", "UNKNOWN": "warning"}[report.verdict]
        lines.append(_command(kind, report.verdict, report.reason, None))
    return "\n".join(lines) + "\n"


def _command(kind: str, title: str, message: str, place: Place | None) -> str:
    where = {"file": place.file, "line": str(place.line)} if place else {}
    properties = ",".join(f"{key}={_property(value)}" for key, value in {**where, "title": title}.items())
    return f"::{kind} {properties}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def to_summary(report: Report, ledger: Ledger | None = None, folder: Path | None = None) -> str:
    """summary.md, for `$GITHUB_STEP_SUMMARY`, a pull request or a chat."""
    parts = [f"## {WORDS[report.verdict]}: {_text(report.name or 'reid-smoke')}", _text(report.reason)]
    cause = report.primary
    if cause is not None:
        parts += [f"### First cause: {cause.code} {cause.slug}{_known(cause)}", _text(cause.evidence), "**Mend**"]
        change = config_mend(report, folder)
        told = list(blocks(cause.mend))
        if change is None:
            parts += [_fenced(text, language) if language else _text(text) for language, text in told]
        else:
            parts += [_text(text) for language, text in told[:1] if not language]
            parts.append(_fenced("\n".join(f"{sign} {line}" for sign, line in change.diff), "diff"))
    elif report.verdict == "UNKNOWN":
        parts += [f"Missing: {_text(prose.missing(report))}", f"What to do: {_text(prose.what_to_do(report))}"]
    said = (
        ("CE", prose.ce(report)),
        ("Trend", prose.trend(report)),
        ("Identities in play", prose.in_play(report)),
        ("Step", prose.steps(report)),
        ("Looks per identity", prose.looks(report)),
        ("Checks", prose.checks(report.checks)),
        ("Baseline", prose.baseline(report)),
        ("Time", prose.timing(report.timing)),
    )
    rows = [f"| {name} | {_cell(text)} |" for name, text in said if text]
    parts.append("\n".join(["| | |", "|---|---|", *rows]))
    if report.handover is not None:
        parts += [f"### Hand-over: {_text(prose_handover.headline(report.handover))}", _handover(report.handover)]
        parts += [_text(said) for said in prose_handover.says(report.handover)]
    rest = [finding for finding in report.findings if not finding.primary]
    if rest:
        listed = "\n".join(f"- {f.code} {_text(f.title)}{_known(f)}: {_text(f.evidence)}" for f in rest)
        parts.append(f"<details><summary>{len(rest)} more</summary>\n\n{listed}\n\n</details>")
    if report.ignored:
        listed = "\n".join(f"- {f.code} {_text(f.title)}: {_text(f.reason)}" for f in report.ignored)
        parts.append(f"Ignored, for a reason:\n\n{listed}")
    parts += [_text(note) for note in report.notes]
    parts.append(_fenced(report.command or "not recorded", "bash"))
    return "\n\n".join(parts) + "\n"


def _known(finding: FindingEntry) -> str:
    return " (known)" if finding.known else ""


def _handover(found: Handover) -> str:
    rows = [prose_handover.COLUMNS, *(prose_handover.row(stage) for stage in found.stages)]
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(prose_handover.COLUMNS) + "|", *lines[1:]])


def _text(text: str) -> str:
    """One line in which nothing is markup but `code`: a path or a label may hold anything."""
    line = " ".join(text.split())
    return "`".join(_escaped(part) if place % 2 == 0 else part for place, part in enumerate(line.split("`")))


def _escaped(text: str) -> str:
    for sign in "\\*_[]|~":
        text = text.replace(sign, "\\" + sign)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cell(text: str) -> str:
    return _text(text)


def _fenced(text: str, language: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"
