"""Which process of a distributed training speaks: the first. The only place under `watch` that reads RANK."""

from __future__ import annotations

import os


def speaks() -> bool:
    """Whether this process reports. torchrun, accelerate and deepspeed set RANK for each that they start."""
    return os.environ.get("RANK", "0") in ("", "0")


def alone() -> bool:
    """Whether no other process trains along, one that would wait for ever if this one stopped."""
    return os.environ.get("WORLD_SIZE", "1") in ("", "0", "1")
