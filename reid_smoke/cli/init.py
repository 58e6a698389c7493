"""`reid-smoke init`: from a folder of images to a config that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    data_dir: Annotated[Path, typer.Argument(metavar="DATA_DIR", help="The data set's folder.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(help="The config to write.  [default: NAME.yaml, after the folder]", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a config that is there already.")] = False,
) -> None:
    """Find out what a data folder holds, and write a config for it.

    Knows Market-1501, DukeMTMC-reID, Occluded-Duke, MSMT17, CUHK03, VeRi-776, VehicleID, one folder an identity, a CSV
    of path,pid,cam, CUHK-PEDES, ICFG-PEDES and RSTPReid.
    """
    from rich.console import Console

    from reid_smoke.inspecting.initialise import initialise
    from reid_smoke.inspecting.lines import show

    done = initialise(data_dir, out, force=force)
    show(Console(), done.heading, done.lines)
