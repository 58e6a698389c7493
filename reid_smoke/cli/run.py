"""`reid-smoke run`: train a config for a few hundred steps and say Go or No-Go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reid_smoke.cli.options import Baseline, Device, Json, Out, Quiet, Set


def run(
    config: Annotated[Path, typer.Argument(help="The YAML config.", show_default=False)],
    overrides: Set = None,
    out: Out = None,
    device: Device = None,
    quiet: Quiet = False,
    json: Json = False,
    baseline: Baseline = None,
    go_on: Annotated[
        bool, typer.Option("--continue", help="After a GO, train the rest of the epoch with SDM, its weight rising.")
    ] = False,
) -> None:
    """Train a config for a few hundred steps, and say Go or No-Go with the cause.

    Ends as soon as the verdict is certain: at the window's end, or at a fatal fault.
    """
    from reid_smoke.baseline import read_baseline
    from reid_smoke.cli.smoking import command_line, config_of, smoke_and_report
    from reid_smoke.cli.telling import Telling
    from reid_smoke.plan import Plan

    planned = config_of(config, overrides, device)
    former = read_baseline(baseline) if baseline is not None else None
    options = [*(["--continue"] if go_on else []), *(["--baseline", str(baseline)] if baseline is not None else [])]
    command = command_line("run", config, overrides, device, *options)
    plan = Plan(planned, "run", command, config, hands_over=go_on, baseline=former)
    with Telling(quiet=quiet, json=json) as telling:
        smoke_and_report(plan, out, telling)
