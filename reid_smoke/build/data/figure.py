"""How an embedded pedestrian is drawn: body parts as spans of pixels, many people at a time; numpy only.

A person has coordinates of their own: v runs from 0 at the crown to 1024 at the soles, u to the right from the spine,
in the same unit. A body part is, row by row, a span from one u to another, and is painted over what was painted
before. What is painted is a label; `palette` says what colour a label has on each person.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from reid_smoke.build.data import wardrobe as w
from reid_smoke.build.data.wardrobe import Wardrobe

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


def palette(who: Wardrobe, obstacle: Ints) -> NDArray[np.uint16]:
    """RGB and opacity of every Paint on every person: (N, len(Paint), 4) uint16, RGB times opacity, opacity 0..4."""
    people = len(who.skin)
    colours = np.zeros((people, len(Paint), 4), dtype=np.uint16)

    def put(paint: Paint, colour: Ints, shade: int = 196) -> None:
        colours[:, paint, :3] = colour * 4
        colours[:, paint + 1, :3] = colour * shade // 64  # of 256, times the opacity
        colours[:, paint : paint + 2, 3] = 4

    long_sleeves, shorts, skirt = who.long_sleeves[:, None], who.legwear == w.SHORTS, who.legwear == w.SKIRT
    tights = np.where(who.tights[:, None], np.array((52, 46, 52)), who.skin)
    put(Paint.SKIN, who.skin, 214)
    put(Paint.HAIR, who.hair)
    put(Paint.UPPER, who.upper)
    put(Paint.SECOND, who.second)
    put(Paint.FOREARM, np.where(long_sleeves, who.upper, who.skin))
    put(Paint.LOWER, who.lower)
    put(Paint.SHANK, np.where(skirt[:, None], tights, np.where(shorts[:, None], who.skin, who.lower)))
    put(Paint.SHOES, who.shoes)
    put(Paint.BAG, who.bag_colour)
    put(Paint.HAT, who.hat)
    put(Paint.OBSTACLE, obstacle, 176)
    glasses = np.where(who.glasses[:, None], np.array((28, 28, 34)), who.skin * 168 // 256)
    colours[:, Paint.EYES] = np.concatenate([glasses * 4, np.full((people, 1), 4)], axis=1)
    colours[:, Paint.BEARD] = np.concatenate([(who.hair * 2 + who.skin) * 4 // 3, np.full((people, 1), 4)], axis=1)
    colours[:, Paint.GROUND_SHADOW, 3] = 1  # a quarter black, through which the ground is seen
    return colours


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
        self._v_low, self._v_high = self._v.min(axis=1), self._v.max(axis=1)
        self._middle = (poses.middle * width).astype(np.int32)
        self._light_from_left = poses.light_from_left
        self._columns = np.arange(width, dtype=np.uint8 if width < 256 else np.uint16)

    def taper(
        self, paint: Paint, v: Pair, u: Pair, half: Pair, *,
        where: NDArray[np.bool_] | None = None, stripes: Ints | None = None, shade: bool = True,
    ) -> None:  # fmt: skip
        """A limb: from height v[0] to v[1] its middle goes from u[0] to u[1] and half its width from half[0] to half[1].

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
        reach = half * self._tall
        centre = middle * self._tall + (self._middle + 512)
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


def draw_people(canvas: Canvas, who: Wardrobe, poses: Poses) -> None:
    """Everybody on their own crop, from what is farthest from the camera to what is nearest."""
    side, back = poses.turn == SIDE, poses.turn == BACK
    ahead = np.where(side, poses.heading, 0)
    canvas.ellipse(Paint.GROUND_SHADOW, (985, 1062), 20, np.where(side, 190, 150), shade=False)
    long_hair = who.hair_style == w.LONG_HAIR
    nape = -ahead * 26
    canvas.taper(Paint.HAIR, (60, 236), (nape, nape), (64, 72), where=long_hair & ~back)
    for near in (-1, 1):  # the far arm and leg before the near ones
        _leg(canvas, who, poses, near)
        if near < 0:
            _arm(canvas, who, poses, near)
    backpack = who.bag == w.BACKPACK
    canvas.taper(Paint.BAG, (190, 440), (-ahead * 108, -ahead * 104), (46, 60), where=backpack & side)
    _torso(canvas, who, poses)
    _arm(canvas, who, poses, 1)
    canvas.ellipse(Paint.BAG, (176, 300), 0, 76, until=238, where=backpack & back)
    canvas.taper(Paint.BAG, (238, 440), (0, 0), (76, 82), where=backpack & back)
    _head(canvas, who, poses)
    canvas.taper(Paint.HAIR, (70, 244), (0, 0), (64, 72), where=long_hair & back)
    _obstacles(canvas, poses)


def _leg(canvas: Canvas, who: Wardrobe, poses: Poses, near: int) -> None:
    side = poses.turn == SIDE
    ahead = np.where(side, poses.heading, 0)
    stout = who.girth
    hip_u = np.where(side, near * 6, near * (stout * 46 // 256))
    foot_u = np.where(side, near * poses.swing, near * (40 + np.abs(poses.swing) // 8))
    knee_u = (hip_u + foot_u) // 2 + ahead * 20
    lifted = np.where(poses.swing * near > 0, poses.lift, 0)
    foot_v = 1004 - np.where(side, poses.swing * poses.swing // 900 + lifted // 2, lifted)
    knee_v = (who.hip + foot_v) // 2 + 4
    thigh, knee, ankle = stout * 52 // 256, stout * 38 // 256, 24
    loose = np.where(who.legwear == w.TROUSERS, 6, 0)
    canvas.ellipse(Paint.SHOES, (foot_v - 26, foot_v + 22), foot_u + ahead * 22, np.where(side, 52, 34), since=0)
    canvas.taper(Paint.SHANK, (knee_v, foot_v - 8), (knee_u, foot_u), (knee, ankle + loose))
    canvas.taper(Paint.LOWER, (who.hip - 20, knee_v), (hip_u, knee_u), (thigh, knee + 3), where=who.legwear != w.SKIRT)
    canvas.taper(Paint.SHANK, (who.hip - 20, knee_v), (hip_u, knee_u), (thigh - 6, knee), where=who.legwear == w.SKIRT)


def _arm(canvas: Canvas, who: Wardrobe, poses: Poses, near: int) -> None:
    side = poses.turn == SIDE
    ahead = np.where(side, poses.heading, 0)
    shoulder = who.shoulders * who.girth // 256
    shoulder_u = np.where(side, 0, near * (shoulder - 12))
    swing = -near * poses.swing * 4 // 5  # against the leg of the same side
    hand_u = np.where(side, swing + ahead * 14, near * (shoulder + 16 + np.abs(poses.swing) // 12))
    elbow_u = np.where(side, swing // 2 - ahead * 12, near * (shoulder + 14))
    hand_v = 500 - np.where(side, swing * swing // 700, poses.lift // 2)
    thick = who.girth * 30 // 256
    canvas.ellipse(Paint.SKIN, (hand_v - 20, hand_v + 32), hand_u, 21)
    canvas.taper(Paint.FOREARM, (345, hand_v), (elbow_u, hand_u), (thick - 2, thick - 9))
    canvas.taper(Paint.UPPER, (182, 352), (shoulder_u, elbow_u), (thick + 4, thick))
    holds = who.bag == w.HANDBAG
    # The bag is in the right hand: on the left of a picture from the front.
    right_hand = np.where(side, near == poses.heading, near == np.where(poses.turn == BACK, 1, -1))
    canvas.taper(
        Paint.BAG, (hand_v + 20, hand_v + 150), (hand_u, hand_u), (46, 58), where=holds & right_hand.astype(bool)
    )


def _torso(canvas: Canvas, who: Wardrobe, poses: Poses) -> None:
    side, front = poses.turn == SIDE, poses.turn == FRONT
    broad = who.shoulders * who.girth // 256
    shoulder = np.where(side, who.girth * 72 // 256, broad)
    waist = np.where(side, who.girth * 74 // 256, who.girth * 84 // 256)
    hips = np.where(side, who.girth * 80 // 256, who.girth * 94 // 256)
    skirt_end = who.hip + 180
    canvas.taper(Paint.SKIN, (128, 172), (0, 0), (30, 36))
    skirted = who.legwear == w.SKIRT
    canvas.taper(Paint.LOWER, (who.hip - 60, skirt_end), (0, 0), (hips - 8, hips + 34), where=skirted)
    canvas.taper(Paint.LOWER, (who.hip - 60, who.hip + 24), (0, 0), (hips - 6, hips - 4), where=~skirted)

    def garment(paint: Paint, top: Ints | int = 0, **how: NDArray[np.bool_] | Ints) -> None:
        hem = hips + (who.hem - 500) // 8
        canvas.taper(paint, (np.maximum(154, top), 196), (0, 0), (shoulder // 2, shoulder), **how)  # type: ignore[arg-type]
        canvas.taper(paint, (np.maximum(196, top), 400), (0, 0), (shoulder, waist), **how)  # type: ignore[arg-type]
        canvas.taper(paint, (np.maximum(400, top), who.hem), (0, 0), (waist, hem), **how)  # type: ignore[arg-type]

    garment(Paint.UPPER)
    garment(Paint.SECOND, where=who.pattern == w.HOOPS, stripes=who.band)
    garment(Paint.SECOND, top=345, where=who.pattern == w.BLOCK)
    striped = who.pattern == w.STRIPES
    for at in (-2, 0, 2):
        u = at * shoulder // 3
        canvas.taper(Paint.SECOND, (178, who.hem), (u, u), (who.band // 3, who.band // 3), where=striped)
    ahead = np.where(side, poses.heading, 0)
    jacket = who.pattern == w.OPEN_JACKET
    u = np.where(side, ahead * (shoulder - 14), 0)
    canvas.taper(Paint.SECOND, (172, who.hem), (u, u), (14, np.where(side, 16, 36)), where=jacket & (front | side))
    logo = (who.pattern == w.LOGO) & front
    canvas.taper(Paint.SECOND, (235, 235 + 2 * who.band), (0, 0), (who.band + 8, who.band + 8), where=logo, shade=False)
    straps = (who.bag == w.BACKPACK) & front
    for near in (-1, 1):
        canvas.taper(Paint.BAG, (166, 330), (near * 52, near * 64), (13, 13), where=straps, shade=False)
    slung = who.bag == w.SHOULDER_BAG
    to = np.where(side, 0, np.where(poses.turn == BACK, 1, -1) * (hips - 10))  # it hangs at the right hip
    seen = slung & (~side | (poses.heading > 0))
    canvas.taper(Paint.BAG_SHADE, (168, 470), (-to * 3 // 4, to), (11, 11), where=slung & ~side, shade=False)
    canvas.taper(Paint.BAG, (452, 590), (to, to), (62, 68), where=seen)


def _head(canvas: Canvas, who: Wardrobe, poses: Poses) -> None:
    side, back, front = poses.turn == SIDE, poses.turn == BACK, poses.turn == FRONT
    ahead = np.where(side, poses.heading, 0)
    canvas.ellipse(Paint.SKIN, (0, 158), ahead * 6, np.where(side, 62, 58))
    canvas.taper(
        Paint.EYES, (68, 84), (ahead * 38, ahead * 38), (np.where(side, 20, 40),) * 2, where=~back, shade=False
    )
    beard = who.beard & ~back
    canvas.ellipse(Paint.BEARD, (60, 162), ahead * 14, 54, since=112, where=beard, shade=False)
    haired = who.hair_style != w.BALD
    canvas.ellipse(Paint.HAIR, (-12, 140), 0, 64, until=48, where=haired & front)
    canvas.ellipse(Paint.HAIR, (-12, 134), -ahead * 20, 56, where=haired & side)
    canvas.ellipse(Paint.HAIR, (-12, 150), 0, 64, where=haired & back)
    hat = who.hair_style == w.HAT
    canvas.ellipse(Paint.HAT, (-24, 124), 0, 70, until=46, where=hat)
    brim_u = ahead * 34
    canvas.taper(Paint.HAT, (38, 56), (brim_u, brim_u), (76, 80), where=hat & ~back)


def _obstacles(canvas: Canvas, poses: Poses) -> None:
    """What stands between the camera and the person: a low wall before the legs, or a pole."""
    low, pole = poses.obstacle == 1, poses.obstacle == 2
    canvas.taper(Paint.OBSTACLE, (poses.obstacle_at, 1400), (0, 0), (1024, 1024), where=low, shade=False)
    ledge = poses.obstacle_at + 16
    canvas.taper(Paint.OBSTACLE_SHADE, (ledge, ledge + 14), (0, 0), (1024, 1024), where=low, shade=False)
    canvas.taper(Paint.OBSTACLE, (-500, 1400), (poses.obstacle_at,) * 2, (34, 34), where=pole)
