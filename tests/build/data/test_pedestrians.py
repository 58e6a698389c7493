from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from reid_smoke.build.data.pedestrians import IMAGES_PER_IDENTITY, render_pedestrians
from reid_smoke.build.data.wardrobe import draw_wardrobe


@pytest.mark.parametrize(
    ("height", "width", "sha256"),
    [
        (64, 32, "c0936b8aee1869c4"),
        (128, 64, "ecbcea1286379181"),
        (64, 64, "a02970793641cddb"),
    ],
)
def test_the_same_pixels_on_every_machine(height: int, width: int, sha256: str) -> None:
    """A new hash means new data: every figure measured on the old ones must be measured again."""
    rendered = render_pedestrians(50, height, width, seed=0)
    assert rendered.pixels.shape == (400, height, width, 3)
    assert hashlib.sha256(rendered.pixels.tobytes()).hexdigest()[:16] == sha256


def test_the_seed_matters() -> None:
    one, other = (render_pedestrians(4, 32, 16, seed=seed).pixels for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_identity_and_camera_of_each_image() -> None:
    rendered = render_pedestrians(3, 32, 16)
    assert len(rendered.pixels) == 3 * IMAGES_PER_IDENTITY
    assert rendered.identities.tolist() == [who for who in range(3) for _ in range(8)]
    assert rendered.cameras.tolist() == [1, 1, 2, 2, 3, 3, 4, 4] * 3


def test_the_global_generator_is_left_alone() -> None:
    np.random.seed(5)
    before = np.random.get_state()[1].copy()  # type: ignore[union-attr,index]
    render_pedestrians(2, 32, 16)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # type: ignore[index]


def test_nobody_is_dressed_like_somebody_else_and_many_share_their_colours() -> None:
    """Telling people apart must take more than two colours, and be possible."""
    people = draw_wardrobe(400, np.random.RandomState(0))
    fields = [getattr(people, name).reshape(400, -1) for name in people.__dataclass_fields__]
    assert len(np.unique(np.concatenate(fields, axis=1), axis=0)) == 400
    coarse = np.concatenate([people.upper, people.lower], axis=1) // 48
    _, shared_by = np.unique(coarse, axis=0, return_counts=True)
    assert shared_by[shared_by > 1].sum() > 150


def test_images_of_a_person_look_more_alike_than_images_of_two() -> None:
    """Beyond camera and pose there is something to learn, yet the nearest picture is often of somebody else."""
    rendered = render_pedestrians(60, 32, 16)
    seen = rendered.pixels[:, 6:26, 4:12].reshape(60, 8, -1).astype(float)
    seen -= seen.mean(axis=0)  # each camera's own light and place taken off
    flat = seen.reshape(480, -1)
    distance = ((flat[:, None] - flat[None]) ** 2).sum(axis=2)
    same = rendered.identities[:, None] == rendered.identities[None]
    other_camera = rendered.cameras[:, None] != rendered.cameras[None]
    assert distance[same & other_camera].mean() < 0.9 * distance[~same & other_camera].mean()
    distance[~other_camera] = np.inf
    nearest = rendered.identities[distance.argmin(axis=1)]
    found = (nearest == rendered.identities).mean()
    assert 0.1 < found < 0.9


def test_neither_rendering_nor_scanning_imports_torch() -> None:
    code = "import sys, reid_smoke.build.data.training_set; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
