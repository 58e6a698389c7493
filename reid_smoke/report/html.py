"""report.html: the whole report as one page that opens from disk, without script and without network.

Everything a run brings (names, paths, labels, messages) goes through the template's autoescape. The page says so to
the browser as well: its content security policy allows no script and no request.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import Any

from reid_smoke.checks.catalogue import catalogue
from reid_smoke.facts import DatasetFacts, LabelFacts
from reid_smoke.ledger import Ledger
from reid_smoke.report import prose, prose_handover
from reid_smoke.report.config_mend import config_mend
from reid_smoke.report.curves import handover_plots, plots
from reid_smoke.report.document import Report
from reid_smoke.report.template import template

GLYPHS = {"GO": "✔", "NO-GO": "✖", "UNKNOWN": "?"}
CONTACT_SHEETS = {"contact-sheet.jpg": "image/jpeg", "contact-sheet.png": "image/png"}
MOST_PICTURE_BYTES = 700_000  # the page is passed around in chats


@dataclass(frozen=True)
class Bar:
    """One column of the label histogram."""

    name: str  # how often a label came up, "3" or "4 to 7"
    labels: int
    share: float  # of the highest column


def to_html(report: Report, ledger: Ledger, folder: Path | None) -> str:
    """The page. folder: where the run's config and contact sheet lie, if anywhere."""
    page: str = template("page.html").render(
        report=report,
        glyph=GLYPHS[report.verdict],
        prose=prose,
        prose_handover=prose_handover,
        figures=_figures(report),
        repeats_title=report.primary is not None and report.reason.startswith(report.primary.title),
        change=config_mend(report, folder),
        plots=plots(report, ledger),
        handover_plots=handover_plots(report),
        bars=_histogram(ledger.last(LabelFacts)),
        labels=ledger.last(LabelFacts),
        dataset=ledger.first(DatasetFacts),
        sheet=_contact_sheet(folder),
        follows=[f for f in report.findings if f.because_of and not f.primary],
        others=[f for f in report.findings if not f.because_of and not f.primary and f.severity != "warn"],
        seen_too=[f for f in report.findings if not f.because_of and not f.primary and f.severity == "warn"],
        trials=[(prose.batches(rows), rows) for rows in _trial_groups(report)],
        titles={check.code: check.title for check in catalogue()},
    )
    return page


def _figures(report: Report) -> list[tuple[str, str]]:
    said = (
        ("CE", prose.ce(report)),
        ("Trend", prose.trend(report)),
        ("Identities in play", prose.in_play(report)),
        ("Bar", prose.bar(report)),
        ("Step", prose.steps(report)),
        ("Looks per identity", prose.looks(report)),
    )
    return [(name, text) for name, text in said if text]


def _trial_groups(report: Report) -> list[list[Any]]:
    return [list(rows) for _, rows in groupby(report.trials, key=lambda trial: trial.batches)]


def _histogram(labels: LabelFacts | None) -> list[Bar]:
    """How many labels came up how often, in at most a dozen columns of equal width; none before the first label."""
    if labels is None or not labels.histogram:
        return []
    most = labels.histogram[-1][0]
    width = max(1, ceil((most + 1) / 12))
    columns = [0] * (most // width + 1)
    for times, count in labels.histogram:
        columns[times // width] += count
    highest = max(columns)
    return [
        Bar(str(n) if width == 1 else f"{n * width} to {(n + 1) * width - 1}", count, count / highest)
        for n, count in enumerate(columns)
        if any(columns[: n + 1])
    ]


def _contact_sheet(folder: Path | None) -> str | None:
    """The first batch's picture as a data URI, where the run's folder has one that a page can carry."""
    if folder is None:
        return None
    for name, kind in CONTACT_SHEETS.items():
        path = folder / name
        if path.is_file() and path.stat().st_size <= MOST_PICTURE_BYTES:
            return f"data:{kind};base64,{b64encode(path.read_bytes()).decode()}"
    return None
