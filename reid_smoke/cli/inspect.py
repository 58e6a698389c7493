"""`reid-smoke inspect`: what a config would train on, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reid_smoke.cli.options import Set


def inspect(
    config: Annotated[Path, typer.Argument(help="The YAML config.", show_default=False)],
    overrides: Set = None,
    out: Annotated[Path, typer.Option(help="The contact sheet: .png, .jpg or .webp.")] = Path("contact-sheet.png"),
) -> None:
    """Show what a config would train on: the data in numbers, and a picture of a batch.

    The picture shows each image as the model is given it, augmented, with the pid and the label that go with it.
    """
    from rich.console import Console

    from reid_smoke.cli.smoking import config_of
    from reid_smoke.inspecting.data import inspect_data
    from reid_smoke.inspecting.lines import show

    planned = config_of(config, overrides, None)
    console = Console()
    show(console, f"The data of {config}", inspect_data(planned, out))
