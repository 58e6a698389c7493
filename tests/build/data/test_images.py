from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from reid_smoke.build.data.images import AUGMENTATIONS, augment, erase, flip, mean_colour, normalise, pad_crop, resize

GREY = (124, 116, 104)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ramp(images: int = 64, height: int = 64, width: int = 32) -> torch.Tensor:
    """Every pixel tells where it came from: its column in red, its row in green."""
    batch = torch.zeros(images, 3, height, width, dtype=torch.uint8)
    batch[:, 0] = torch.arange(width, dtype=torch.uint8) + 1
    batch[:, 1] = torch.arange(height, dtype=torch.uint8)[:, None] + 1
    return batch


def test_resize_is_pillow_s_bilinear() -> None:
    image = np.random.RandomState(0).randint(0, 256, (90, 41, 3)).astype(np.uint8)
    expected = np.array(Image.fromarray(image).resize((16, 32), Image.Resampling.BILINEAR))
    resized = resize(image, 32, 16)
    assert resized.dtype == torch.uint8
    np.testing.assert_array_equal(resized.numpy(), expected.transpose(2, 0, 1))
    np.testing.assert_array_equal(resize(image, 90, 41).numpy(), image.transpose(2, 0, 1))


def test_normalise() -> None:
    batch = torch.full((2, 3, 4, 4), 255, dtype=torch.uint8)
    out = normalise(batch, (0.5, 0.25, 0.0), (0.5, 0.25, 1.0))
    assert out.dtype == torch.float32
    torch.testing.assert_close(out[0, :, 0, 0], torch.tensor([1.0, 3.0, 1.0]))
    fill = torch.tensor(mean_colour((0.485, 0.456, 0.406)), dtype=torch.uint8)[None, :, None, None]
    assert normalise(fill, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)).abs().max() < 0.01


def test_flip_mirrors_about_half_of_them_whole() -> None:
    batch = ramp(400)
    out = flip(batch, seeded(), GREY)
    mirrored = (out == batch.flip(-1)).flatten(1).all(1)
    kept = (out == batch).flatten(1).all(1)
    assert torch.all(mirrored ^ kept)
    assert 150 < int(mirrored.sum()) < 250


@pytest.mark.parametrize(("height", "width", "pad"), [(256, 128, 10), (64, 32, 3), (128, 64, 5)])
def test_pad_crop_shifts_and_fills_with_the_mean(height: int, width: int, pad: int) -> None:
    batch = torch.zeros(300, 3, height, width, dtype=torch.uint8)
    batch[:, :, height // 2, width // 2] = 255  # one white pixel shows the shift
    out = pad_crop(batch, seeded(), GREY)
    assert out.shape == batch.shape
    y, x = (out[:, 0] == 255).nonzero()[:, 1:].T
    assert (int((y - height // 2).min()), int((y - height // 2).max())) == (-pad, pad)
    assert (int((x - width // 2).min()), int((x - width // 2).max())) == (-pad, pad)
    corner = out[:, :, 0, 0]
    shifted = (y > height // 2) | (x > width // 2)
    assert torch.all(corner[shifted] == torch.tensor(GREY, dtype=torch.uint8))
    assert torch.all(corner[~shifted] == 0)


def test_erase_fills_one_rectangle_in_about_half() -> None:
    batch = torch.zeros(600, 3, 64, 32, dtype=torch.uint8)
    out = erase(batch, seeded(), GREY)
    filled = (out == torch.tensor(GREY, dtype=torch.uint8)[:, None, None]).all(dim=1)  # (B, H, W)
    erased = filled.flatten(1).any(1)
    assert 240 < int(erased.sum()) < 360
    rows, columns = filled.any(dim=2).sum(1)[erased], filled.any(dim=1).sum(1)[erased]
    area = filled.flatten(1).sum(1)[erased]
    assert torch.equal(area, rows * columns)
    assert float(area.min()) > 0.01 * 64 * 32
    assert float(area.max()) < 0.42 * 64 * 32
    assert torch.all(out[~erased] == 0)


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_augmentations_are_seeded_and_leave_their_input_and_the_global_generator_alone(name: str) -> None:
    batch = ramp()
    before, state = batch.clone(), torch.get_rng_state()
    one, again, other = (augment(batch, [name], seeded(seed), GREY) for seed in (1, 1, 2))  # type: ignore[list-item]
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.dtype == torch.uint8
    assert one.shape == batch.shape
    assert torch.equal(batch, before)
    assert torch.equal(state, torch.get_rng_state())
