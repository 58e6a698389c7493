"""What `run` and `overfit` share: the config they start from, the display, the report, the exit code."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import typer

from reid_smoke.cli import STARTED
from reid_smoke.cli.guard import say
from reid_smoke.cli.options import DeviceName
from reid_smoke.cli.telling import Telling
from reid_smoke.config.load import load_config
from reid_smoke.config.schema import Config
from reid_smoke.errors import CouldNotJudge, ReidSmokeError
from reid_smoke.plan import Plan
from reid_smoke.report.both_ways import beside
from reid_smoke.report.building import build_report
from reid_smoke.report.live import LiveDisplay
from reid_smoke.report.writing import write_reports
from reid_smoke.smoke import Outcome, smoke
from reid_smoke.train.ranks import find_place


def config_of(path: Path | None, overrides: Sequence[str] | None, device: DeviceName | None) -> Config:
    return load_config(path, [*(overrides or ()), *([f"device={device.value}"] if device else ())])


def command_line(
    name: str, config: Path | None, overrides: Sequence[str] | None, device: DeviceName | None, *options: str
) -> str:
    """The command that makes this run again."""
    words = ["reid-smoke", name, *([str(config)] if config else ()), *options]
    words += [word for override in overrides or () for word in ("--set", override)]
    return shlex.join([*words, *(["--device", device.value] if device else ())])


def smoke_and_report(plan: Plan, out: Path | None, telling: Telling) -> None:
    """Run the plan with a live display, and show what came of it. Of several ranks the first does so."""
    place = find_place()
    if not place.is_first:
        raise typer.Exit(_follow(plan))
    with LiveDisplay(telling.progress) as display:
        outcome = smoke(plan, out, display, started=STARTED, last_words=lambda outcome: tell(outcome, telling))
    if place.is_alone or outcome.how in ("finished", "stopped"):
        show(outcome, telling)
    code = tell(outcome, telling)
    # What waits for another rank to the end would wait in vain.
    sys.stdout.flush()
    os._exit(code)


def _follow(plan: Plan) -> int:
    """Train along as a rank other than the first. Ends with the code of the first: a launcher on another machine that
    saw its ranks succeed would wait for minutes for the one that did not."""
    with Path(os.devnull).open("w") as nowhere, LiveDisplay(nowhere) as display:
        outcome = smoke(plan, None, display, started=STARTED, last_words=lambda outcome: CouldNotJudge.exit_code)
    if outcome.how in ("finished", "stopped"):
        time.sleep(2.0 if outcome.exit_code else 0.0)  # the report comes first, and a launcher names who ended first
        return outcome.exit_code
    os._exit(CouldNotJudge.exit_code)


def show(outcome: Outcome, telling: Telling) -> NoReturn:
    """Write the report of what was run, show it, and leave with the verdict's exit code."""
    raise typer.Exit(tell(outcome, telling))


def tell(outcome: Outcome, telling: Telling) -> int:
    """Write the report of what was run, and show it. Returns the verdict's exit code."""
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
    telling.tell(report, folder)
    return code
