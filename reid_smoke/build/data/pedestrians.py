"""The embedded data set: rendered pedestrians under four cameras, so that a demo needs no download; numpy only.

The same seed gives the same pixels on every machine, and a test holds their hash. Two things see to that. Everything
is integer arithmetic: sums of floats differ in their last bit between processors and libraries. And all draws come
from `numpy.random.RandomState`: NEP 19 froze its streams for good, while `numpy.random.Generator`'s may change with
any release.

Torch is not imported: the set is rendered in a thread while torch is being loaded, and numpy lets go of the GIL.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_smoke.build.data.canvas import BACK, FRONT, SIDE, Canvas, Poses
from reid_smoke.build.data.figure import draw_people, palette
from reid_smoke.build.data.scenes import CAMERAS, GAIN, HAZE, LIGHT_FROM_LEFT, draw_scenes
from reid_smoke.build.data.wardrobe import Wardrobe, draw_wardrobe

IDENTITIES = 400
SHOTS = 2  # per camera
IMAGES_PER_IDENTITY = CAMERAS * SHOTS

_CHUNK = 160  # images drawn at a time: their labels stay in a core's cache
# From where each camera sees people come: along a street, across a corridor, and both.
_TURNS = np.array(
    [(FRONT, FRONT, BACK, FRONT), (SIDE, SIDE, SIDE, SIDE), (FRONT, SIDE, FRONT, SIDE), (BACK, BACK, SIDE, BACK)]
)
_SIZE = np.array([(910, 960), (880, 930), (860, 910), (900, 970)])  # of a person, in 1/1024 of the crop's height


class Pedestrians(NamedTuple):
    """N images, identity after identity and camera after camera."""

    pixels: NDArray[np.uint8]  # (N, height, width, 3) RGB
    identities: NDArray[np.int64]  # (N,) 0..identities-1
    cameras: NDArray[np.int64]  # (N,) 1..4, as in file names
    people: Wardrobe  # one row an identity
    poses: Poses  # (N,) each


def render_pedestrians(identities: int, height: int, width: int, seed: int = 0) -> Pedestrians:
    """So many people, `IMAGES_PER_IDENTITY` images of height x width pixels each.

    Identities differ by face, hair, clothes, pattern, shoes, bag and build; cameras by place, light, colour cast and
    the side from which people are seen; images of one camera by pose, distance, framing, noise and, now and then,
    something that stands in the way.
    """
    random = np.random.RandomState(seed)
    people = draw_wardrobe(identities, random)
    scenes = draw_scenes(height, width, random)
    who = np.repeat(np.arange(identities), IMAGES_PER_IDENTITY)
    cameras = np.tile(np.repeat(np.arange(CAMERAS), SHOTS), identities)
    poses = _draw_poses(cameras, random)
    obstacles = random.randint(64, 176, (len(who), 1)) + random.randint(-12, 13, (len(who), 3))
    light = GAIN[cameras] * random.randint(236, 277, (len(who), 1)) >> 9  # per 128; clouds come and go
    room_y, room_x = scenes.shape[1] - height, scenes.shape[2] - width
    view = random.randint(0, 1 << 16, (len(who), 2)) * np.array([room_y + 1, room_x + 1]) >> 16

    pixels = np.empty((len(who), height, width, 3), dtype=np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(scenes, (height, width), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    for start in range(0, len(who), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        behind = windows[cameras[chunk], view[chunk, 0], view[chunk, 1]]
        seen = _compose(people.of(who[chunk]), _rows(poses, chunk), obstacles[chunk], behind)
        pixels[chunk] = _expose(seen, light[chunk], HAZE[cameras[chunk]], random)
    return Pedestrians(pixels, who, cameras + 1, people, poses)


def _draw_poses(cameras: NDArray[np.int64], random: np.random.RandomState) -> Poses:
    images = len(cameras)
    turn = _TURNS[cameras, random.randint(0, _TURNS.shape[1], images)]
    smallest, tallest = _SIZE[cameras].T
    height = smallest + (random.randint(0, 1024, images) * (tallest - smallest) >> 10)
    kind = random.randint(0, 100, images)
    obstacle = np.where(kind < 7, 1, np.where(kind < 13, 2, 0))
    low, pole = random.randint(640, 900, images), random.randint(-150, 151, images)
    return Poses(
        turn=turn,
        heading=random.randint(0, 2, images) * 2 - 1,
        swing=random.randint(-150, 151, images),
        lift=random.randint(0, 51, images),
        top=(1024 - height) * random.randint(5, 13, images) // 16,
        height=height,
        middle=random.randint(448, 577, images),
        light_from_left=LIGHT_FROM_LEFT[cameras],
        obstacle=obstacle,
        obstacle_at=np.where(obstacle == 1, low, pole),
    )


def _rows(poses: Poses, chunk: slice) -> Poses:
    return Poses(**{name: getattr(poses, name)[chunk] for name in poses.__dataclass_fields__})


def _compose(who: Wardrobe, poses: Poses, obstacle: NDArray[np.int64], behind: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """People before their backgrounds: (N, height, width, 3) uint16, 0..255. `behind` has the same shape."""
    people, height, width, _ = behind.shape
    # Small crops are drawn with four labels a pixel: without soft edges, arms and bags would flicker in and out.
    fine = 2 if height * width <= 96 * 48 else 1
    canvas = Canvas(poses, height * fine, width * fine)
    draw_people(canvas, who, poses)
    # RGB and opacity of a label travel in one 64-bit word; sums of four stay within their 16 bits each.
    words = palette(who, obstacle).view(np.uint64)[..., 0]
    labels = canvas.labels.astype(np.intp)
    labels += np.arange(people) * words.shape[1]
    drawn = words.ravel().take(labels).reshape(height, fine, width, fine, people)
    if fine == 2:
        rows = drawn[:, 0] + drawn[:, 1]
        drawn = (rows[:, :, 0] + rows[:, :, 1])[:, None, :, None]
    layers = np.ascontiguousarray(drawn[:, 0, :, 0].transpose(2, 0, 1)).view(np.uint16).reshape(*behind.shape[:3], 4)
    full = np.uint16(4 * fine * fine)  # 255 * 16 fits
    blended: NDArray[np.uint16] = (layers[..., :3] + behind * (full - layers[..., 3:])) // full
    return blended


def _expose(
    seen: NDArray[np.uint16], light: NDArray[np.int64], haze: NDArray[np.int64], random: np.random.RandomState
) -> NDArray[np.uint8]:
    """What the sensor makes of it: the light's colour, haze and noise of about 4 of 255."""
    noise = np.frombuffer(random.bytes(seen.size), dtype=np.uint8).reshape(seen.shape)
    level = (seen * light.astype(np.uint16)[:, None, None, :] >> np.uint16(7)).astype(np.int16)
    level += haze.astype(np.int16)[:, None, None, None] - np.int16(10)
    level += noise & np.uint8(15)  # two uniform draws make a triangle
    level += noise >> np.uint8(4)
    level -= np.int16(5)
    exposed: NDArray[np.uint8] = np.clip(level, 0, 255, out=level).astype(np.uint8)
    return exposed
