"""`reid-smoke report`: judge a past run again from its facts, a killed one too; without torch."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from reid_smoke.cli.options import Baseline


class Format(str, Enum):
    terminal = "terminal"
    json = "json"
    html = "html"
    junit = "junit"
    sarif = "sarif"
    github = "github"
    summary = "summary"
    tensorboard = "tensorboard"


def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="The folder of a run.", show_default=False)],
    format: Annotated[
        Format, typer.Option(help="What to print; html and tensorboard are written to the folder.")
    ] = Format.terminal,
    baseline: Baseline = None,
) -> None:
    """Show a past run's report again, made from its facts: a run that was killed has them up to that moment.

    Ends with the verdict's exit code, as the run did.
    """
    from rich.console import Console

    from reid_smoke.baseline import read_baseline
    from reid_smoke.ledger import Ledger
    from reid_smoke.report.document import build_report
    from reid_smoke.report.formats import FORMATS
    from reid_smoke.report.terminal import render_terminal
    from reid_smoke.report.writing import write_whole
    from reid_smoke.verdict import judge

    former = read_baseline(baseline) if baseline is not None else None
    ledger = Ledger.read(folder / "facts.jsonl")
    if former is not None:
        ledger.add(former)  # in memory alone: the run's own facts stay as they are
    judgement = judge(ledger, ended=True)
    document = build_report(ledger, judgement.results, judgement.verdict)
    if format is Format.terminal:
        render_terminal(document, Console(), folder=folder)
    elif format is Format.html:
        write_whole(folder / "report.html", FORMATS["html"](document, ledger, folder))
        typer.echo(folder / "report.html")
    elif format is Format.tensorboard:
        from reid_smoke.report.tensorboard import write_events

        typer.echo(write_events(ledger, folder))
    else:
        typer.echo(FORMATS[format.value](document, ledger, folder), nl=False)
    raise typer.Exit(judgement.exit_code)
