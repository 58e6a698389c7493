"""Where the embedded pedestrians walk: four cameras, each with its own place, light and colour cast; numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

CAMERAS = 4
# Per 256, RGB: noon in a street, lamps in a corridor, an overcast park, dusk before a brick wall.
GAIN = np.array([(256, 254, 250), (264, 252, 232), (242, 250, 254), (226, 226, 238)])
HAZE = np.array([0, 3, 8, 4])  # added after the gain, of 255
LIGHT_FROM_LEFT = np.array([True, False, True, False])

MARGIN_X, MARGIN_Y = 3, 8  # a place is (1 + MARGIN_X) crops wide and 1/MARGIN_Y higher than a crop: room to look around


def draw_scenes(height: int, width: int, random: np.random.RandomState) -> NDArray[np.uint8]:
    """The four places, (4, rows, columns, 3) uint8 RGB, for crops of height x width.

    rows = height + height // MARGIN_Y, columns = width * (1 + MARGIN_X).
    """
    rows, columns = height + height // MARGIN_Y, width * (1 + MARGIN_X)
    # Units of 1/1024 of a crop's height, whatever the resolution.
    y = ((np.arange(rows) * 2 + 1) * 512 // height)[:, None]
    x = ((np.arange(columns) * 2 + 1) * 512 // height)[None, :]
    painters = (_street, _corridor, _park, _bricks)
    return np.stack([_soften(paint(y, x, random)) for paint in painters]).astype(np.uint8)


def _street(y: Ints, x: Ints, random: np.random.RandomState) -> Ints:
    wall = _flat((196, 188, 174), y, x)
    window = (x % 300 > 70) & (x % 300 < 230) & (y % 330 > 60) & (y % 330 < 270)
    wall = np.where(window[..., None], np.array((108, 126, 146)), wall)
    wall = np.where(((window) & ((x + y) % 300 > 210))[..., None], np.array((142, 160, 176)), wall)
    road = _flat((134, 134, 138), y, x) - ((1152 - y) // 24)[..., None]
    stripe = (y > 900) & (y < 960) & (x % 420 < 240)
    road = np.where(stripe[..., None], np.array((206, 206, 200)), road)
    kerb = _flat((172, 170, 166), y, x)
    scene = np.where((y < 560)[..., None], wall, np.where((y < 610)[..., None], kerb, road))
    return scene + _mottle(y, x, 64, 10, random)


def _corridor(y: Ints, x: Ints, random: np.random.RandomState) -> Ints:
    wall = _flat((222, 214, 192), y, x) - (y // 40)[..., None]
    door = (x % 620 > 330) & (x % 620 < 560) & (y > 60)
    wall = np.where(door[..., None], np.array((148, 108, 74)), wall)
    panel = door & (x % 620 > 365) & (x % 620 < 525) & (y % 300 > 60)
    wall = np.where(panel[..., None], np.array((162, 122, 86)), wall)
    depth = np.maximum(y - 640, 0)  # tiles grow towards the camera
    tile = ((x * 256 // (depth + 300) // 90) + (depth * 3 // (depth // 4 + 60))) % 2
    floor = np.where((tile == 0)[..., None], np.array((176, 120, 92)), np.array((192, 138, 106)))
    board = _flat((120, 92, 70), y, x)
    scene = np.where((y < 615)[..., None], wall, np.where((y < 645)[..., None], board, floor))
    return scene + _mottle(y, x, 96, 6, random)


def _park(y: Ints, x: Ints, random: np.random.RandomState) -> Ints:
    sky = _flat((198, 214, 226), y, x)
    leaves = _flat((92, 124, 72), y, x) + _mottle(y, x, 40, 30, random)
    trunk = (x % 540 > 250) & (x % 540 < 310)
    leaves = np.where((trunk & (y > 300))[..., None], np.array((96, 78, 62)), leaves)
    crown = 150 - np.abs(x % 540 - 280) // 3
    grass = _flat((128, 154, 88), y, x)
    path = _flat((196, 182, 150), y, x)
    edge = 820 + (np.abs(x % 1400 - 700) // 9)
    scene = np.where((y < crown)[..., None], sky, leaves)
    scene = np.where((y > 540)[..., None], grass, scene)
    scene = np.where((y > edge)[..., None], path, scene)
    return scene + _mottle(y, x, 24, 10, random)


def _bricks(y: Ints, x: Ints, random: np.random.RandomState) -> Ints:
    course = y // 44
    along = x + (course % 2) * 58
    mortar = (y % 44 < 9) | (along % 116 < 9)
    hue = (course * 7 + along // 116 * 5) % 4 * 7
    wall = np.where(mortar[..., None], np.array((176, 160, 146)), np.array((158, 92, 74)) + hue[..., None])
    pane = (x % 900 > 480) & (x % 900 < 860) & (y > 90) & (y < 520)
    wall = np.where(pane[..., None], np.array((88, 104, 112)) + ((y // 30) % 5 * 5)[..., None], wall)
    frame = pane & ((x % 900 < 505) | (x % 900 > 835) | (y < 115) | (y > 495))
    wall = np.where(frame[..., None], np.array((226, 222, 212)), wall)
    slab = ((y - 640) * 2 // 190 % 2) * 6
    pavement = _flat((158, 160, 168), y, x) + slab[..., None]
    joint = (y > 640) & ((y - 640) % 95 < 9)
    pavement = np.where(joint[..., None], np.array((128, 130, 138)), pavement)
    scene = np.where((y < 640)[..., None], wall, pavement)
    return scene + _mottle(y, x, 48, 8, random)


def _flat(colour: tuple[int, int, int], y: Ints, x: Ints) -> Ints:
    return np.broadcast_to(np.array(colour), (y.shape[0], x.shape[1], 3))


def _mottle(y: Ints, x: Ints, cell: int, strength: int, random: np.random.RandomState) -> Ints:
    """Light and dark patches of `cell` units, the same at every resolution; (rows, columns, 1), -strength..strength."""
    patches = random.randint(-strength, strength + 1, (1200 // cell + 1, 2100 // cell + 1))
    return patches[y // cell % len(patches), x // cell % patches.shape[1]][..., None]  # type: ignore[no-any-return]


def _soften(scene: Ints) -> Ints:
    """Out of focus and paler than life: a 3x3 box blur and two thirds of the contrast, as the lens is on the people."""
    lively = np.clip(scene, 0, 255)
    average = lively.sum(axis=(0, 1)) // (scene.shape[0] * scene.shape[1])
    padded = np.pad((lively * 2 + average) // 3, ((1, 1), (1, 1), (0, 0)), mode="edge")
    across = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return (across[:-2] + across[1:-1] + across[2:]) // 9  # type: ignore[no-any-return]
