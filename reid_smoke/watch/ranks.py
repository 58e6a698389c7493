"""Which process of a distributed training this is, and where its ranks meet. Only here does `watch` read RANK.

Under `watch` the process group is theirs: the ranks never send each other anything. Each writes its facts into a folder
whose name all of them can work out, and the first reads what the others wrote.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# What launchers give to every process of one training alike, and to no other training.
OF_THE_LAUNCH = (
    "MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "SLURM_JOB_ID",
    "SLURM_STEP_ID",
)  # fmt: skip


def rank() -> int:
    """torchrun, accelerate and deepspeed set RANK for each process that they start; without it this is the first."""
    return _number("RANK", 0)


def ranks() -> int:
    """How many processes train together."""
    return max(1, _number("WORLD_SIZE", 1))


def speaks() -> bool:
    """Whether this process reports."""
    return rank() == 0


def alone() -> bool:
    """Whether no other process trains along, one that would wait for ever if this one stopped."""
    return ranks() == 1


def meeting_place(out: Path | None) -> Path:
    """The folder for the facts of the ranks other than the first: below `out`, or below `runs`."""
    from hashlib import blake2s  # here: every command imports this file

    words = "\0".join(os.environ.get(name, "") for name in OF_THE_LAUNCH)
    return ((out or Path("runs")) / f".ranks-{blake2s(words.encode()).hexdigest()[:12]}").absolute()


def bring_home(files: Iterable[Path], folder: Path) -> None:
    """Move the other ranks' files beside the report, and take the meeting place away. A rank that still writes goes on
    writing to the same file."""
    for file in files:
        with suppress(OSError):
            shutil.move(file, folder / file.name)
        with suppress(OSError):
            file.parent.rmdir()


def _number(name: str, otherwise: int) -> int:
    try:
        return int(os.environ.get(name) or otherwise)
    except ValueError:
        return otherwise
