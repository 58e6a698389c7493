"""What `run` and `overfit` share: the config they start from, the display, the report, the exit code."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console

from reid_smoke.cli import STARTED
from reid_smoke.cli.guard import say
from reid_smoke.cli.options import DeviceName
from reid_smoke.config.load import load_config
from reid_smoke.config.schema import Config
from reid_smoke.errors import CouldNotJudge, ReidSmokeError
from reid_smoke.report.both_ways import beside
from reid_smoke.report.document import build_report
from reid_smoke.report.live import LiveDisplay
from reid_smoke.report.terminal import render_terminal
from reid_smoke.report.writing import write_reports
from reid_smoke.smoke import Outcome, Plan, smoke


def config_of(path: Path | None, overrides: Sequence[str] | None, device: DeviceName | None) -> Config:
    return load_config(path, [*(overrides or ()), *([f"device={device.value}"] if device else ())])


def command_line(
    name: str, config: Path | None, overrides: Sequence[str] | None, device: DeviceName | None, *options: str
) -> str:
    """The command that makes this run again."""
    words = ["reid-smoke", name, *([str(config)] if config else ()), *options]
    words += [word for override in overrides or () for word in ("--set", override)]
    return shlex.join([*words, *(["--device", device.value] if device else ())])


def smoke_and_report(plan: Plan, out: Path | None) -> None:
    """Run the plan with a live display, and show what came of it."""
    with LiveDisplay(sys.stderr) as display:
        outcome = smoke(plan, out, display, started=STARTED)
    show(outcome)


def show(outcome: Outcome) -> None:
    """Write the report of what was run, show it, and leave with the verdict's exit code."""
    judgement, folder = outcome.judgement, outcome.folder
    report = build_report(outcome.ledger, judgement.results, judgement.verdict)
    both = beside(report, folder)
    report = report.model_copy(update={"notes": (*report.notes, *([both] if both else ()))})
    code = judgement.exit_code
    try:
        write_reports(report, outcome.ledger, folder)
    except ReidSmokeError as error:
        say(str(error))
        code = CouldNotJudge.exit_code
    if outcome.ledger.write_error:
        code = CouldNotJudge.exit_code
    render_terminal(report, Console(), folder=folder)
    raise typer.Exit(code)
