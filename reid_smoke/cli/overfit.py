"""`reid-smoke overfit`: can the training memorise a few fixed samples at all?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reid_smoke.cli.options import Device, Json, Out, Quiet, Set


def overfit(
    config: Annotated[
        Path | None, typer.Argument(help="The YAML config; without one, the recipe on embedded pedestrians.")
    ] = None,
    n: Annotated[int, typer.Option("--n", min=4, help="Samples.")] = 256,
    epochs: Annotated[int, typer.Option(min=2, help="Times over the samples.")] = 10,
    overrides: Set = None,
    out: Out = None,
    device: Device = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train on N fixed samples for a few epochs: CE only, no augmentation, no schedule.

    When this passes and `run` does not, the optimizer and the gradient work, and the data, the labels or the schedule
    do not. Chance and bar are those of guessing among the identities in the N samples.
    """
    from reid_smoke.cli.smoking import command_line, config_of, smoke_and_report
    from reid_smoke.cli.telling import Telling
    from reid_smoke.config.schema import ScheduleConfig
    from reid_smoke.plan import Plan

    planned = config_of(config, overrides, device)
    batch = min(planned.data.batch_size, n)
    if planned.data.sampler == "pk":  # a batch is whole identities, K images of each
        batch = max(1, batch // planned.data.instances) * planned.data.instances
    fixed = planned.model_copy(
        update={
            "data": planned.data.model_copy(update={"augment": [], "batch_size": batch}),
            "loss": planned.loss.model_copy(update={"sdm_weight": 0.0}),
            "schedule": ScheduleConfig(),
        }
    )
    command = command_line("overfit", config, overrides, device, "--n", str(n), "--epochs", str(epochs))
    with Telling(quiet=quiet, json=json) as telling:
        smoke_and_report(Plan(fixed, "overfit", command, config, samples=n, epochs=epochs), out, telling)
