"""`reid-smoke report`: judge a past run again from its facts, a killed one too; without torch."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from reid_smoke.cli.completion import run_folders
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
    folder: Annotated[
        Path,
        typer.Argument(metavar="RUN_DIR", help="The folder of a run.", show_default=False, autocompletion=run_folders),
    ],
    format: Annotated[
        Format, typer.Option(help="What to print; html and tensorboard are written to the folder.")
    ] = Format.terminal,
    baseline: Baseline = None,
) -> None:
    """Show a past run's report again, made from its facts: a run that was killed has them up to that moment.

    Of a folder that came in part, torn or from a newer version it shows what can be read, and says what is missing.
    Ends with the verdict's exit code, as the run did.
    """
    from rich.console import Console

    from reid_smoke.baseline import read_baseline
    from reid_smoke.cli.streams import print_document
    from reid_smoke.report.formats import FORMATS
    from reid_smoke.report.past import read_past_run
    from reid_smoke.report.terminal import render_terminal
    from reid_smoke.report.writing import write_whole

    past = read_past_run(folder, read_baseline(baseline) if baseline is not None else None)
    if format is Format.terminal:
        render_terminal(past.report, Console(), folder=folder)
    elif format is Format.html:
        write_whole(folder / "report.html", FORMATS["html"](past.report, past.ledger, folder))
        print_document(f"{folder / 'report.html'}\n")
    elif format is Format.tensorboard:
        from reid_smoke.report.tensorboard import write_events

        print_document(f"{write_events(past.ledger, folder)}\n")
    else:
        print_document(FORMATS[format.value](past.report, past.ledger, folder))
    raise typer.Exit(past.exit_code)
