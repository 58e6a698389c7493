"""Small image folders on disk, with the traps that real ones have."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from reid_smoke.config.schema import DataConfig


def write_image(path: Path, colour: tuple[int, int, int] = (120, 60, 30), size: tuple[int, int] = (24, 48)) -> Path:
    """A picture of one colour; `size` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, format="PNG" if path.suffix.lower() == ".png" else "JPEG", quality=95)
    return path


def write_market1501(root: Path, pids: Iterable[int], images_each: int = 4, cameras: int = 2) -> Path:
    """`bounding_box_train` under root; each identity has a grey of its own, and each image its own shade of it."""
    for place, pid in enumerate(pids):
        for number in range(images_each):
            grey = 20 + (place * 37 + number) % 200
            name = f"{pid:04d}_c{number % cameras + 1}s1_{number:06d}_00.jpg"
            write_image(root / "bounding_box_train" / name, (grey, grey, grey))
    return root


def market1501(root: Path, **fields: object) -> DataConfig:
    """A config for such a folder at 32x16, four images a batch, without augmentation."""
    plain: dict[str, object] = {"height": 32, "width": 16, "batch_size": 4, "augment": []}
    return DataConfig.model_validate({"source": "market1501", "root": root, **plain, **fields})


def truncate(path: Path) -> Path:
    """Cut a file in half, as a broken download does."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def grey_of(image: np.ndarray) -> int:
    return int(image.mean().round())
