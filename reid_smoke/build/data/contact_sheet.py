"""A batch as one picture: every image as the model is given it, and below it who that is said to be. Pillow only."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from reid_smoke.build.data.loader import Batch, Delivery
from reid_smoke.build.data.training_set import TrainingSet
from reid_smoke.config.schema import DataConfig
from reid_smoke.errors import UsageError
from reid_smoke.whole import whole

CELL = 128  # px, the longer side of an image on the sheet
WIDEST = 1160  # px, of a row
MOST = 128  # images
CAPTION, CAPTION_LINES = 170, 6  # px, the width of an image that has a caption below it; lines at most
GAP, TEXT, MARGIN = 6, 11, 14  # px
_PAPER, _INK, _FAINT = (250, 250, 248), (30, 30, 30), (120, 120, 116)
# Colours that can be told apart beside each other; an identity's is that of its label.
_COLOURS = [
    (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75), (227, 119, 194),
    (127, 127, 127), (188, 189, 34), (23, 190, 207),
]  # fmt: skip


class Cell(NamedTuple):
    """What stands below an image."""

    label: int
    lines: tuple[str, ...]
    caption: str = ""


def contact_sheet(
    images: Tensor,
    cells: Sequence[Cell],
    *,
    mean: Sequence[float],
    std: Sequence[float],
    group: int = 1,
    title: str = "",
) -> Image.Image:
    """Draw a batch.

    images: (B, 3, H, W) float, normalised with `mean` and `std`; drawn de-normalised.
    cells: one for each image.
    group: images that stay side by side, K of a PK batch.
    title: one line above.

    At most MOST images are drawn, the first ones. No random number is drawn.
    """
    pixels = _pixels(images[:MOST], mean, std)  # (B, H, W, 3) uint8
    height, width = pixels.shape[1:3]
    scale = CELL / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Enlarged, pixels are shown as they are; made smaller, they are averaged.
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    font = _font(TEXT)
    shown = len(pixels)
    captioned = any(cell.caption for cell in cells)
    step_x = max(size[0], CAPTION if captioned else 58) + GAP
    below_each = [[*cell.lines, *_wrapped(cell.caption, font, step_x - GAP)] for cell in cells[:shown]]
    step_y = size[1] + 4 + (TEXT + 3) * max(map(len, below_each)) + 2 * GAP
    between = GAP if group > 1 else 0  # groups stand a little apart
    if group > 1:
        columns = max(1, WIDEST // (step_x * group + GAP)) * group
    else:  # about twice as wide as high
        columns = max(1, min(WIDEST // step_x, round((2 * shown * step_y / step_x) ** 0.5)))
    columns = min(shown, columns)
    rows = -(-shown // columns)
    top = MARGIN + (TEXT + 14 if title else 0)
    sheet_width = 2 * MARGIN + columns * step_x - GAP + (columns - 1) // group * between
    sheet = Image.new("RGB", (max(sheet_width, 320), top + rows * step_y + MARGIN - GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((MARGIN, MARGIN - 2), title, fill=_INK, font=_font(TEXT + 2))
    for place, (image, cell, lines) in enumerate(zip(pixels, cells, below_each, strict=False)):
        row, column = divmod(place, columns)
        x, y = MARGIN + column * step_x + column // group * between, top + row * step_y
        sheet.paste(Image.fromarray(image).resize(size, how), (x, y))
        below = y + size[1]
        draw.rectangle((x, below, x + size[0] - 1, below + 2), fill=_COLOURS[cell.label % len(_COLOURS)])
        for number, line in enumerate(lines):
            ink = _FAINT if 0 < number < len(cell.lines) else _INK
            draw.text((x, below + 5 + number * (TEXT + 3)), _cut(line, font, step_x - GAP), fill=ink, font=font)
    return sheet


def sheet_of_batch(batch: Batch, training_set: TrainingSet, config: DataConfig, title: str = "") -> Image.Image:
    """The contact sheet of a loader's batch. `training_set`: the one that its labels are of."""
    captions = (batch.captions if isinstance(batch, Delivery) else ()) or ("",) * len(batch.labels)
    cells = [
        Cell(label, (f"pid {training_set.pids[label]}", f"label {label}" + (f"  c{camera}" if camera else "")), caption)
        for label, camera, caption in zip(batch.labels.tolist(), batch.cameras.tolist(), captions, strict=True)
    ]
    group = config.instances if config.sampler == "pk" else 1
    return contact_sheet(batch.images, cells, mean=config.mean, std=config.std, group=group, title=title)


def save_sheet(sheet: Image.Image, path: Path) -> None:
    """Write it in the format that the path's ending names, whole or not at all. Raises UsageError."""
    buffer = BytesIO()
    form = Image.registered_extensions().get(path.suffix.lower())
    if form not in ("PNG", "JPEG", "WEBP"):
        raise UsageError(f"{path}: a contact sheet is a .png, a .jpg or a .webp")
    sheet.save(buffer, form, **({"quality": 85} if form == "JPEG" else {}))
    try:
        with whole(path) as beside:
            beside.write_bytes(buffer.getvalue())
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written ({error.strerror or error}). Name another file with --out"
        ) from None


def _pixels(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> NDArray[np.uint8]:
    scale, shift = (torch.tensor(values, dtype=torch.float32)[:, None, None] for values in (std, mean))
    plain = (images.detach().to("cpu", torch.float32) * scale + shift).mul(255).round_().clamp_(0, 255)
    pixels: NDArray[np.uint8] = plain.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return pixels


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    try:
        return ImageFont.load_default(size)
    except (TypeError, OSError, ImportError):  # Pillow 10.0, or one without FreeType: its only size
        return ImageFont.load_default()


def _wrapped(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, room: float) -> list[str]:
    """The text in lines that fit, `CAPTION_LINES` at most; a word that is wider than that goes alone."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines if len(lines) <= CAPTION_LINES else [*lines[: CAPTION_LINES - 1], f"{lines[CAPTION_LINES - 1]} .."]


def _cut(line: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, room: float) -> str:
    """As much of the line's end as fits: names differ in their ends."""
    if font.getlength(line) <= room:
        return line
    while line and font.getlength(f"..{line}") > room:
        line = line[1:]
    return f"..{line}"
