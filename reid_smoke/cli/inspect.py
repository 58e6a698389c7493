"""`reid-smoke inspect`: what a config would train on and what it would train, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reid_smoke.cli.options import Set
from reid_smoke.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from reid_smoke.config.schema import Config

MARKET_IDENTITIES = 751  # of Market-1501's training set: what a model is built for where nobody says


def inspect(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG|TARGET", help="The YAML config, or a model as package.module:factory.", show_default=False
        ),
    ],
    overrides: Set = None,
    out: Annotated[Path, typer.Option(help="The contact sheet: .png, .jpg or .webp.")] = Path("contact-sheet.png"),
    timed: Annotated[
        bool, typer.Option("--time", help="Train a few steps, and say how long a run will take here.")
    ] = False,
) -> None:
    """Show what a config would train on, and what: the data in numbers, a picture of a batch, and the model's parts.

    The picture shows each image as the model is given it, augmented, with the pid and the label that go with it. Of a
    model alone, as package.module:factory, it shows the model, for 751 identities and images of 256x128.
    """
    from rich.console import Console

    from reid_smoke.cli.smoking import config_of
    from reid_smoke.inspecting.data import inspect_data
    from reid_smoke.inspecting.lines import show

    console = Console()
    if _is_target(config):
        if timed:
            raise UsageError("--time: a model alone has no data to train on. Give a config")
        planned = config_of(None, [f"model.target={config}", *(overrides or ())], None)
        _show_model(console, planned, planned.model.num_classes or MARKET_IDENTITIES, config)
        return
    planned = config_of(Path(config), overrides, None)
    show(console, f"The data of {config}", inspect_data(planned, out))
    from reid_smoke.build.data.training_set import open_training_set

    training_set = open_training_set(planned.data)
    vocabulary = len(training_set.vocabulary or ())
    _show_model(console, planned, planned.model.num_classes or training_set.identities, config, vocabulary)
    if timed:
        from reid_smoke.inspecting.duration import time_of_run

        show(console, f"A run of {config}", time_of_run(planned, training_set))


def _is_target(text: str) -> bool:
    return ":" in text and not Path(text).exists() and not text.endswith((".yaml", ".yml"))


def _show_model(console: Console, planned: Config, num_classes: int, of: str, vocabulary: int = 0) -> None:
    from reid_smoke.inspecting.lines import show
    from reid_smoke.inspecting.model import inspect_model

    lines, block = inspect_model(planned, num_classes, vocabulary)
    show(console, f"The model of {of}, for {num_classes:,} identities", lines)
    if block is not None:
        console.print(f"\nTo paste into a config:\n\n{block}", soft_wrap=True, highlight=False, markup=False)
