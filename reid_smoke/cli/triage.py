"""`reid-smoke triage`: which one change makes CE fall?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from reid_smoke.cli import STARTED
from reid_smoke.cli.options import Device, Json, Out, Quiet, Set


def triage(
    config: Annotated[Path, typer.Argument(help="The YAML config.", show_default=False)],
    overrides: Set = None,
    budget: Annotated[float, typer.Option(min=1, help="Seconds for all of it.")] = 120,
    out: Out = None,
    device: Device = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Find the smallest change that makes CE fall, by short trials from the same start on the same batches.

    Trains as configured until the failure shows, then again and again with one thing changed. Ends with the exit code
    of the training as configured.
    """
    began = time.perf_counter()
    from reid_smoke.cli.smoking import command_line, config_of, show
    from reid_smoke.cli.telling import Telling
    from reid_smoke.plan import Plan
    from reid_smoke.report.live import LiveDisplay
    from reid_smoke.report.trial_progress import TrialProgress
    from reid_smoke.triage.from_config import triage as run

    planned = config_of(config, overrides, device)
    command = command_line("triage", config, overrides, device, *(["--budget", f"{budget:g}"] if budget != 120 else []))
    with Telling(quiet=quiet, json=json) as telling, LiveDisplay(telling.progress) as display:
        progress = TrialProgress(telling.progress, began + budget)
        plan = Plan(planned, "triage", command, config)
        outcome = run(plan, out, display, progress, budget_s=budget, deadline=began + budget, started=STARTED)
        display.close()
        show(outcome, telling)
