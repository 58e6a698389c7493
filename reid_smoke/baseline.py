"""Findings that somebody knows of: those in a former report, so that CI fails only on new ones; no torch.

The rule. A finding is known where the former report names the same code at the same gravity or a worse one; what it
says in figures may differ. A known finding is marked so, and stays where it is. The verdict does not change by it: it
says what the training is, whoever knows of it. Only the exit code does: where the verdict would be GO without the known
findings, that is where every fault is known and CE passes by itself, it is 0. A CE that does not pass is NO-GO and 1
however well it is known, and so is a known fault that ended the run before CE could be judged, as fatal ones do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ValidationError

from reid_smoke.checks.catalogue import GRAVITY, CheckResult, Severity
from reid_smoke.errors import UsageError
from reid_smoke.facts import BaselineFacts


class _Finding(BaseModel):
    code: str
    severity: Severity


class _Former(BaseModel):
    """What is read of a former report.json."""

    schema_version: int
    verdict: str
    findings: list[_Finding]


def read_baseline(file: str | Path) -> BaselineFacts:
    """A former report.json as a fact. Raises UsageError where the file is none."""
    path = Path(file)
    if path.is_dir():
        raise UsageError(f"baseline {path}: this is a folder. Name the report.json in it")
    try:
        former = _Former.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"baseline {path}: {error.strerror or error}. Any run's report.json is one: copy it there"
        ) from None
    except ValidationError:
        raise UsageError(f"baseline {path}: this is no report.json of reid-smoke") from None
    return BaselineFacts(file=path.as_posix(), findings={f.code: f.severity for f in former.findings})


def mark_known(results: Sequence[CheckResult], baseline: BaselineFacts | None) -> list[CheckResult]:
    """The results, those of the baseline's findings marked as known."""
    if baseline is None:
        return list(results)
    return [replace(result, known=_is_known(result, baseline)) for result in results]


def _is_known(result: CheckResult, baseline: BaselineFacts) -> bool:
    then = baseline.findings.get(result.check.code)
    return result.finding is not None and then is not None and GRAVITY[result.severity] <= GRAVITY[then]
