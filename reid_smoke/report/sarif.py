"""SARIF 2.1.0 (OASIS), for code scanning: a rule per check, a result per finding, at a line where there is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from reid_smoke import __version__
from reid_smoke.checks.catalogue import Check, catalogue
from reid_smoke.checks.page import family
from reid_smoke.ledger import Ledger
from reid_smoke.report.document import FindingEntry, IgnoredEntry, Report
from reid_smoke.report.places import Place, place_of_cause

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"fatal": "error", "fail": "error", "warn": "warning"}


def to_sarif(report: Report, ledger: Ledger | None = None, folder: Path | None = None) -> str:
    """The findings as a SARIF log. Those of a watched script have no place: nothing says which line is to blame."""
    rules = [_rule(check) for check in catalogue()]
    at = {rule["id"]: number for number, rule in enumerate(rules)}
    place = place_of_cause(report, folder)
    run = {
        "tool": {
            "driver": {"name": "reid-smoke", "version": __version__, "semanticVersion": __version__, "rules": rules}
        },
        "invocations": [{"commandLine": report.command, "executionSuccessful": report.verdict != "UNKNOWN"}],
        "results": [
            _result(finding, at.get(finding.code), place, compared=report.baseline is not None)
            for finding in (*report.findings, *report.ignored)
        ],
        "properties": {"verdict": report.verdict, "reason": report.reason},
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _rule(check: Check) -> dict[str, Any]:
    return {
        "id": check.code,
        "name": "".join(word.capitalize() for word in check.slug.split("-")),
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": check.section("What it means") or check.title},
        "help": {"text": check.documentation},
        "defaultConfiguration": {"level": LEVELS[check.severity]},
        "properties": {"tags": [family(check)]},
    }


def _result(finding: FindingEntry, rule: int | None, place: Place | None, *, compared: bool) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "level": "note" if finding.because_of else LEVELS[finding.severity],
        "message": {"text": f"{finding.title}: {finding.evidence}"},
        "partialFingerprints": {"finding/v1": finding.code},
    }
    if rule is not None:
        result["ruleIndex"] = rule
    if isinstance(finding, IgnoredEntry):
        result["suppressions"] = [{"kind": "external", "justification": finding.reason}]
    if compared:
        result["baselineState"] = "unchanged" if finding.known else "new"
    if place is not None:
        region = {"startLine": place.line if finding.primary else 1}
        location = {"artifactLocation": {"uri": quote(place.file)}, "region": region}
        result["locations"] = [{"physicalLocation": location}]
    return result
