"""report.json: the document itself."""

from __future__ import annotations

import json
import re

from pydantic import BaseModel

from reid_smoke.report.document import Report

# A point of the curve over four lines. A string holds no bare line break, so this never touches one.
_POINT = re.compile(r"\[\n\s+([^\s\[\],]+),\n\s+([^\s\[\],]+)\n\s+\]")


def to_json(report: Report, ledger: object = None, folder: object = None) -> str:
    return as_json(report)


def as_json(document: BaseModel) -> str:
    """The document as strict JSON, indented, a pair a line."""
    text = json.dumps(document.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
    return _POINT.sub(r"[\1, \2]", text) + "\n"
