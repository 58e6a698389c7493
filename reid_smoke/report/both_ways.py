"""What `run` and `overfit` say together that neither says alone."""

from __future__ import annotations

import json
from pathlib import Path

from reid_smoke.report.document import Report

MEANS = {
    # (verdict of run, verdict of overfit)
    ("NO-GO", "GO"): (
        "overfit passes and run does not: the optimizer and the gradient work. Look at the data, the labels, the "
        "augmentation or the schedule, which overfit leaves out."
    ),
    ("GO", "NO-GO"): (
        "run passes and overfit does not: the training learns, but a few fixed samples got too few updates to be "
        "memorised. Raise --epochs before reading anything else into it."
    ),
    ("NO-GO", "NO-GO"): (
        "Neither run nor overfit passes: data and schedule are not the first suspects. Look at the optimizer, the "
        "gradient and the wiring of the head."
    ),
    ("GO", "GO"): "Both run and overfit pass.",
}


def beside(report: Report, folder: Path) -> str | None:
    """The sentence for this report and the newest one of the other command, of the same name, in the same place.

    folder: this report's. None where there is no such other report, or one of the two has no verdict.
    """
    other = {"run": "overfit", "overfit": "run"}.get(report.way_in)
    newest: tuple[float, Path, str] | None = None
    for path in folder.resolve().parent.glob("*/report.json"):
        try:
            found = json.loads(path.read_bytes())
            if found["way_in"] == other and found["name"] == report.name:
                newest = max(newest or (0.0, path, ""), (path.stat().st_mtime, path, str(found["verdict"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # another tool's file, or one half-copied: there is nothing to compare with
    if newest is None:
        return None
    verdicts = (report.verdict, newest[2]) if report.way_in == "run" else (newest[2], report.verdict)
    sentence = MEANS.get(verdicts)
    return f"{sentence} (Beside {newest[1].parent.name}.)" if sentence else None
