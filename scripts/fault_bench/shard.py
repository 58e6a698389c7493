"""A share of the cases, for a machine of several: `--shard I/N`."""

from __future__ import annotations

import argparse
from typing import TypeVar

Key = TypeVar("Key")


def shard(text: str) -> tuple[int, int]:
    """`I/N` as numbers, for argparse."""
    number, of = map(int, text.split("/"))
    if not 1 <= number <= of:
        raise argparse.ArgumentTypeError(f"{text}: I runs from 1 to N")
    return number, of


def share(keys: list[Key], of: tuple[int, int]) -> list[Key]:
    """Every N-th, from the I-th."""
    return keys[of[0] - 1 :: of[1]]
