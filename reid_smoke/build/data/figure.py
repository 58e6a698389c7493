"""How an embedded pedestrian is drawn, and in which colours; numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reid_smoke.build.data import wardrobe as w
from reid_smoke.build.data.canvas import BACK, FRONT, SIDE, Canvas, Ints, Paint, Poses
from reid_smoke.build.data.wardrobe import Wardrobe


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
