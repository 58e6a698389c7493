"""Every format that is a text, by its name: each a function of the report, its facts and the run's folder."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from reid_smoke.ledger import Ledger
from reid_smoke.report.document import Report


class Format(Protocol):
    """Makes the text. folder: where the run's config and pictures lie, if anywhere."""

    def __call__(self, report: Report, ledger: Ledger, folder: Path | None) -> str: ...


def _when_asked(module: str, function: str) -> Format:
    """Nobody who wants JSON waits for a template engine."""

    def make(report: Report, ledger: Ledger, folder: Path | None) -> str:
        format = cast(Format, getattr(import_module(f"reid_smoke.report.{module}"), function))
        return format(report, ledger, folder)

    return make


FORMATS = {
    "json": _when_asked("json", "to_json"),
    "html": _when_asked("html", "to_html"),
    "junit": _when_asked("junit", "to_junit"),
    "sarif": _when_asked("sarif", "to_sarif"),
    "github": _when_asked("github", "to_annotations"),
    "summary": _when_asked("github", "to_summary"),
}
