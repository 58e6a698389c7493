"""What embedded pedestrians are painted on: body parts as spans of pixels, many people at a time; numpy only.

A person has coordinates of their own: v runs from 0 at the crown to 1024 at the soles, u to the right from the spine,
in the same unit. A body part is, row by row, a span from one u to another, and is painted over what was painted
before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Pair: TypeAlias = tuple[Ints | int, Ints | int]

FRONT, BACK, SIDE = range(3)


class Paint(IntEnum):
    """What a pixel shows. Every cloth or skin is followed by its shaded twin."""

    NOTHING = 0
    GROUND_SHADOW = auto()
    SKIN = auto()
    SKIN_SHADE = auto()
    HAIR = auto()
    HAIR_SHADE = auto()
    UPPER = auto()
    UPPER_SHADE = auto()
    SECOND = auto()
    SECOND_SHADE = auto()
    FOREARM = auto()
    FOREARM_SHADE = auto()
    LOWER = auto()
    LOWER_SHADE = auto()
    SHANK = auto()
    SHANK_SHADE = auto()
    SHOES = auto()
    SHOES_SHADE = auto()
    BAG = auto()
    BAG_SHADE = auto()
    HAT = auto()
    HAT_SHADE = auto()
    EYES = auto()
    BEARD = auto()
    OBSTACLE = auto()
    OBSTACLE_SHADE = auto()


@dataclass(frozen=True)
class Poses:
    """How each of N people stands before the camera; (N,) each."""

    turn: Ints  # FRONT, BACK or SIDE
    heading: Ints  # +1 walks to the right, -1 to the left; matters from the side only
    swing: Ints  # of the legs, -150..150 units
    lift: Ints  # of a foot, 0..50 units
    top: Ints  # of the crown, in 1/1024 of the crop's height
    height: Ints  # of the person, likewise
    middle: Ints  # of the spine, in 1/1024 of the crop's width
    light_from_left: NDArray[np.bool_]
    obstacle: Ints  # 0 none, 1 something low before the legs, 2 a pole
    obstacle_at: Ints  # v of its top, or u of its middle


# Half the width of a circle of diameter 1024 at each height, from an integer square root.
_CIRCLE = np.array([math.isqrt(512 * 512 - (v - 512) ** 2) for v in range(1025)], dtype=np.int32)


class Canvas:
    """Labels of N crops, and the way from people's units to pixels.

    `labels`: (height, width, N) uint8 of Paint. The people come last, so that numpy's innermost loops run over all of
    them, and not over the few pixels between an arm's two edges: half the time of the usual order.
    """

    def __init__(self, poses: Poses, height: int, width: int) -> None:
        people = len(poses.turn)
        self.labels = np.zeros((height, width, people), dtype=np.uint8)
        rows = (np.arange(height) * 1024 + 512)[:, None]
        self._tall = np.maximum(poses.height * height // 1024, 1).astype(np.int32)  # (N,) pixels
        self._v = ((rows - poses.top * height) // self._tall).astype(np.int32)  # (height, N)
        # Detectors' boxes are narrower than 1:2, and data sets stretch them to it.
        self._broad = self._tall * 21 >> 4
        self._v_low, self._v_high = self._v.min(axis=1), self._v.max(axis=1)
        self._middle = (poses.middle * width).astype(np.int32)
        self._light_from_left = poses.light_from_left
        self._columns = np.arange(width, dtype=np.uint8 if width < 256 else np.uint16)

    def taper(
        self, paint: Paint, v: Pair, u: Pair, half: Pair, *,
        where: NDArray[np.bool_] | None = None, stripes: Ints | None = None, shade: bool = True,
    ) -> None:  # fmt: skip
        """A limb: from v[0] to v[1] its middle goes from u[0] to u[1], and half its width from half[0] to half[1].

        `where`: (N,) who has it. `stripes`: (N,) height of a band, of which every second is painted.
        """
        (v0, v1), (u0, u1), (half0, half1) = self._pair(v), self._pair(u), self._pair(half)
        rows = self._rows(v0, v1)
        down = self._v[rows] - v0
        length = np.maximum(v1 - v0, 1)
        middle = u0 + (down * (((u1 - u0) << 10) // length) >> 10)
        width = half0 + (down * (((half1 - half0) << 10) // length) >> 10)
        inside = (down >= 0) & (down < length)
        if where is not None:
            inside &= where
        if stripes is not None:
            inside &= (down // stripes) % 2 == 1
        self._fill(paint, rows, inside, middle, width, shade)

    def ellipse(
        self, paint: Paint, v: Pair, u: Ints | int, half: Ints | int, *,
        since: int = -1024, until: int = 2048, where: NDArray[np.bool_] | None = None, shade: bool = True,
    ) -> None:  # fmt: skip
        """An ellipse from height v[0] to v[1], `half` wide to each side of u, of which rows since <= v < until show."""
        (v0, v1), (middle, widest) = self._pair(v), self._pair((u, half))
        rows = self._rows(v0, v1)
        down = self._v[rows] - v0
        length = np.maximum(v1 - v0, 1)
        inside = (down >= 0) & (down < length) & (self._v[rows] >= since) & (self._v[rows] < until)
        if where is not None:
            inside &= where
        around = np.clip(down * ((1 << 20) // length) >> 10, 0, 1024)
        self._fill(paint, rows, inside, middle, widest * _CIRCLE.take(around) >> 9, shade)

    def _pair(self, pair: Pair) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        first, second = (np.asarray(value).astype(np.int32) for value in pair)
        return first, second

    def _rows(self, v0: NDArray[np.int32], v1: NDArray[np.int32]) -> slice:
        """The rows of pixels that the part covers on anybody."""
        covered = np.flatnonzero((self._v_high >= v0.min()) & (self._v_low < v1.max()))
        return slice(int(covered[0]), int(covered[-1]) + 1) if covered.size else slice(0, 0)

    def _fill(
        self, paint: int, rows: slice, inside: NDArray[np.bool_], middle: NDArray[np.int32], half: NDArray[np.int32],
        shade: bool,
    ) -> None:  # fmt: skip
        if not inside.any():
            return
        widest = len(self._columns)
        reach = half * self._broad
        centre = middle * self._broad + (self._middle + 512)
        left = np.clip((centre - reach) >> 10, 0, widest)
        right = np.clip((centre + reach) >> 10, 0, widest)
        right = np.where(inside, right, left)
        self._span(paint, rows, left, right)
        if shade:  # the side away from the light
            lit = (right - left) * 5 + 4 >> 3
            self._span(
                paint + 1, rows, left + np.where(self._light_from_left, lit, 0),
                right - np.where(self._light_from_left, 0, lit),
            )  # fmt: skip

    def _span(self, paint: int, rows: slice, left: NDArray[np.int32], right: NDArray[np.int32]) -> None:
        """Columns left <= column < right of each row and person; both (rows, N)."""
        covered = right > left
        if not covered.any():
            return
        first, last = int(left.min(initial=len(self._columns), where=covered)), int(right.max())
        columns = self._columns[first:last, None]
        from_left = columns - left.astype(columns.dtype)[:, None]  # wraps around beyond the left edge, and is large
        within = from_left < (right - left).astype(columns.dtype)[:, None]
        np.copyto(self.labels[rows, first:last], np.uint8(paint), where=within)
