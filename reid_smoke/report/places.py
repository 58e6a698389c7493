"""Where in somebody's files a finding lies: a line of the YAML, or the line of code that raised."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from reid_smoke.config.yaml_tree import YamlSyntaxError, read_yaml
from reid_smoke.report.config_mend import config_mend
from reid_smoke.report.document import Report


@dataclass(frozen=True)
class Place:
    """A line of a file. file: as it was given on the command line, with forward slashes."""

    file: str
    line: int  # from 1


def place_of_cause(report: Report, folder: Path | None) -> Place | None:
    """The line of the config whose change would mend the first cause, or the config's first line where its key does
    not stand there; None where no config was given."""
    if not report.config:
        return None
    file = Path(report.config)
    change = config_mend(report, folder)
    line = None
    try:
        tree = read_yaml(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, YamlSyntaxError):
        tree = None  # it was moved since, or the report is made elsewhere
    if change is not None and tree is not None:
        lines = (tree.line_of(key) for key in change.keys)
        line = next((found for found in lines if found is not None), None)
    return Place(file.as_posix(), line or 1)


def place_of_crash(report: Report) -> Place | None:
    """The user's line that raised."""
    match = re.fullmatch(r"(.+):(\d+)", report.crash.where) if report.crash else None
    return Place(Path(match[1]).as_posix(), max(1, int(match[2]))) if match else None
