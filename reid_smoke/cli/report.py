"""`reid-smoke report`: judge a past run again from its facts, a killed one too; without torch."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Format(str, Enum):
    terminal = "terminal"
    json = "json"


def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="The folder of a run.", show_default=False)],
    format: Annotated[Format, typer.Option(help="What to print.")] = Format.terminal,
) -> None:
    """Show a past run's report again, made from its facts: a run that was killed has them up to that moment.

    Ends with the verdict's exit code, as the run did.
    """
    from rich.console import Console

    from reid_smoke.ledger import Ledger
    from reid_smoke.report.document import build_report
    from reid_smoke.report.json import to_json
    from reid_smoke.report.terminal import render_terminal
    from reid_smoke.verdict import judge

    ledger = Ledger.read(folder / "facts.jsonl")
    judgement = judge(ledger, ended=True)
    document = build_report(ledger, judgement.results, judgement.verdict)
    if format is Format.json:
        typer.echo(to_json(document))
    else:
        render_terminal(document, Console(), folder=folder)
    raise typer.Exit(judgement.exit_code)
