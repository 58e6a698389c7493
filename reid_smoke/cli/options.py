"""Options that several commands share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class DeviceName(str, Enum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key: --set optimizer.lr=1e-3. May be repeated."),
]
Baseline = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A former report.json: its findings are known, and known faults alone exit 0."),
]
Out = Annotated[Path | None, typer.Option(help="Folder for the report.  [default: runs/TIME-NAME]", show_default=False)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say only the verdict and the first cause.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print report.json on stdout and nothing else there; the rest goes to stderr.")
]
Device = Annotated[DeviceName | None, typer.Option(help="Where to train; by default as the config says.")]
