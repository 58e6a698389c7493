"""What is done to images on their way into a batch.

One image is resized when it is decoded; everything random is done to a whole batch at once, a uint8 tensor
(B, 3, H, W) on any device, with a generator on the same device. Nothing here draws from torch's global generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Augmentation = Literal["flip", "pad_crop", "erase"]


def resize(image: NDArray[np.uint8], height: int, width: int) -> Tensor:
    """(H, W, 3) uint8 of any size to (3, height, width) uint8, bilinear as Pillow does it."""
    if image.shape[:2] != (height, width):
        image = np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    return torch.from_numpy(image).permute(2, 0, 1).contiguous()


def mean_colour(mean: Sequence[float]) -> tuple[int, int, int]:
    """The mean as a uint8 colour: after normalisation it is zero, to within half a grey level."""
    red, green, blue = (min(255, max(0, round(value * 255))) for value in mean)
    return red, green, blue


def augment(
    batch: Tensor, names: Sequence[Augmentation], generator: torch.Generator, fill: tuple[int, int, int]
) -> Tensor:
    """The named augmentations in this order. (B, 3, H, W) uint8 in and out; `fill` is what padding and erasing show."""
    for name in names:
        batch = AUGMENTATIONS[name](batch, generator, fill)
    return batch


def flip(batch: Tensor, generator: torch.Generator, fill: tuple[int, int, int]) -> Tensor:
    """Mirror each image with probability 0.5. (B, 3, H, W) uint8 in and out."""
    mirrored = torch.rand(len(batch), generator=generator, device=batch.device) < 0.5
    return torch.where(mirrored[:, None, None, None], batch.flip(-1), batch)


def pad_crop(batch: Tensor, generator: torch.Generator, fill: tuple[int, int, int]) -> Tensor:
    """Shift each image by up to 10 px of 256x128, scaled to the size at hand, as padding and cropping at random does.

    (B, 3, H, W) uint8 in and out.
    """
    images, _, height, width = batch.shape
    pad_y, pad_x = max(1, (10 * height + 128) // 256), max(1, (10 * width + 64) // 128)
    colour = _colour(fill, batch)
    padded = colour.expand(images, 3, height + 2 * pad_y, width + 2 * pad_x).clone()
    padded[:, :, pad_y : pad_y + height, pad_x : pad_x + width] = batch  # (B, 3, H + 2 pad_y, W + 2 pad_x)
    rows = _upto(2 * pad_y, images, generator, batch) + torch.arange(height, device=batch.device)  # (B, H)
    left = _upto(2 * pad_x, images, generator, batch)  # (B, 1)
    # Each line of a crop lies in one piece in the padded image: where it begins says all. Copied whole, it costs a
    # fifth of what it costs pixel by pixel.
    planes = torch.arange(3 * images, device=batch.device).view(images, 3, 1) * padded[0, 0].numel()
    begins = planes + (rows * padded.shape[3] + left)[:, None]  # (B, 3, H), places in the flat padded batch
    lines = padded.flatten().unfold(0, width, 1)  # (all places, W), nothing is copied
    return lines.index_select(0, begins.flatten()).view(images, 3, height, width)


def erase(batch: Tensor, generator: torch.Generator, fill: tuple[int, int, int]) -> Tensor:
    """Random erasing: with probability 0.5 a rectangle of 0.02 to 0.4 of the area and aspect 0.3 to 3.33 is filled.

    (B, 3, H, W) uint8 in and out. The first of ten rectangles that fits is taken, and none where none does.
    """
    images, _, height, width = batch.shape
    tries = 10
    area, aspect, down, across = torch.rand(4, images, tries, generator=generator, device=batch.device)
    area = (0.02 + 0.38 * area) * (height * width)
    aspect = 0.3 + (1 / 0.3 - 0.3) * aspect
    tall, wide = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()  # (B, tries)
    fits = (tall < height) & (wide < width)
    first = fits.to(torch.uint8).argmax(dim=1, keepdim=True)  # argmax gives the first of equals
    wanted = torch.rand(images, generator=generator, device=batch.device) < 0.5
    wanted &= fits.any(dim=1)
    tall, wide, down, across = (value.gather(1, first) for value in (tall, wide, down, across))  # (B, 1) each
    top, left = (down * (height - tall + 1)).floor(), (across * (width - wide + 1)).floor()
    y = torch.arange(height, device=batch.device)
    x = torch.arange(width, device=batch.device)
    inside = ((y >= top) & (y < top + tall))[:, :, None] & ((x >= left) & (x < left + wide))[:, None, :]  # (B, H, W)
    inside &= wanted[:, None, None]
    return torch.where(inside[:, None], _colour(fill, batch), batch)


def normalise(batch: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(B, 3, H, W) uint8 to float32: RGB in 0..1, the mean taken off, divided by std."""
    scale = _constant(tuple(1 / (255 * value) for value in std), torch.float32, batch.device)
    shift = _constant(tuple(-m / s for m, s in zip(mean, std, strict=True)), torch.float32, batch.device)
    return torch.addcmul(shift, batch.to(torch.float32), scale)


def _colour(fill: tuple[int, int, int], batch: Tensor) -> Tensor:
    return _constant(fill, batch.dtype, batch.device)


@lru_cache(maxsize=32)
def _constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """(3, 1, 1). Made once: bringing numbers to a GPU waits for all that it has still to do."""
    return torch.tensor(values, dtype=dtype, device=device)[:, None, None]


def _upto(most: int, count: int, generator: torch.Generator, batch: Tensor) -> Tensor:
    return torch.randint(0, most + 1, (count, 1), generator=generator, device=batch.device)


AUGMENTATIONS: dict[Augmentation, Callable[[Tensor, torch.Generator, tuple[int, int, int]], Tensor]] = {
    "flip": flip,
    "pad_crop": pad_crop,
    "erase": erase,
}
