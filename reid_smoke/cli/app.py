"""The commands, gathered. Nothing here may import torch, pydantic or the catalogue."""

from typing import Annotated

import typer

from reid_smoke.cli.compare import compare
from reid_smoke.cli.explain import explain
from reid_smoke.cli.guard import guarded
from reid_smoke.cli.init import init
from reid_smoke.cli.inspect import inspect
from reid_smoke.cli.overfit import overfit
from reid_smoke.cli.report import report
from reid_smoke.cli.run import run
from reid_smoke.cli.schema import schema
from reid_smoke.cli.triage import triage
from reid_smoke.cli.watch import CONTEXT, watch

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,  # rich would double the time of --help
    pretty_exceptions_enable=False,  # see guard.py
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 GO, 1 NO-GO, 2 bad usage or config, 3 could not judge.",
)

# Every command, in the order in which --help shows them. Each imports what it needs inside its function.
for command in (run, overfit, triage, init, inspect, report, compare, explain, schema):
    app.command()(guarded(command))
app.command(context_settings=CONTEXT)(guarded(watch))


def _show_version(wanted: bool) -> None:
    if wanted:
        from reid_smoke.versions import version_lines

        typer.echo("\n".join(version_lines()))
        raise typer.Exit


@app.callback()
def reid_smoke(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the versions of reid-smoke, torch and CUDA, and exit.",
        ),
    ] = False,
) -> None:
    """Go or No-Go for a re-identification training within 300 steps, with the cause and its mend."""
