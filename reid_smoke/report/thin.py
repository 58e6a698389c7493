"""Fewer points of a long curve, with its extremes kept: a spike of one step in 100,000 is what somebody looks for."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

Point = tuple[int, float | None]  # step, value; None: no number there

MOST = 1200  # points, two for each of some 600 columns on a screen


def thin(points: Sequence[tuple[int, float | None]], most: int = MOST) -> list[Point]:
    """At most about `most` of the points, in order: of each stretch of equal length its least and its greatest, and
    where it holds a value that is no number, one gap. What is not finite is None. The first and the last are kept."""
    clean: list[Point] = [(step, y if y is not None and isfinite(y) else None) for step, y in points]
    if len(clean) <= most:
        return clean
    stretches = max(1, (most - 2) // 3)
    kept = {0, len(clean) - 1}
    for number in range(stretches):
        stretch = range(number * len(clean) // stretches, (number + 1) * len(clean) // stretches)
        heights = [(y, place) for place in stretch if (y := clean[place][1]) is not None]
        if heights:
            kept |= {min(heights)[1], max(heights)[1]}
        kept |= set([place for place in stretch if clean[place][1] is None][:1])
    return [clean[place] for place in sorted(kept)]
