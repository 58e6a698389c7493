"""The templates of the pages, with autoescape: what a run brings stays text."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from reid_smoke.report.document import FindingEntry
from reid_smoke.report.mend import blocks

PAGES = Path(__file__).parent / "page"


def template(name: str) -> Any:
    """A file of `page/`."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    environment.filters["drawn"] = Markup  # for what chart.py drew; its texts are escaped by the XML writer
    environment.filters["blocks"] = _blocks
    environment.globals["style"] = Markup((PAGES / "page.css").read_text(encoding="utf-8"))
    return environment


def _prose(text: str) -> Markup:
    """Plain text in which `code` is code."""
    parts = re.split(r"`([^`]+)`", text)
    marked = (
        escape(part) if place % 2 == 0 else Markup("<code>{}</code>").format(part) for place, part in enumerate(parts)
    )
    return Markup("").join(marked)


def _blocks(finding: FindingEntry) -> list[tuple[str | None, str]]:
    return list(blocks(finding.mend))
