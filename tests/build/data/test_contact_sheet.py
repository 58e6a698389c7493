from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reid_smoke.build.data.contact_sheet import MOST, Cell, contact_sheet, save_sheet, sheet_of_batch
from reid_smoke.build.data.images import normalise
from reid_smoke.build.data.loader import Batch
from reid_smoke.build.data.training_set import open_training_set
from reid_smoke.config.schema import DataConfig
from reid_smoke.errors import UsageError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def colours(number: int) -> np.ndarray:
    """(number, 3) uint8, all different, and none a colour of the sheet itself."""
    return np.stack([np.arange(number) + 60, 200 - np.arange(number), np.full(number, 77)], axis=1).astype(np.uint8)


def solid(number: int, height: int = 32, width: int = 16) -> torch.Tensor:
    images = torch.from_numpy(colours(number))[:, :, None, None].expand(number, 3, height, width)
    return normalise(images, MEAN, STD)


def sheet(images: torch.Tensor, group: int = 1) -> np.ndarray:
    cells = [Cell(label // group, (f"pid {label // group}", f"label {label // group}")) for label in range(len(images))]
    return np.array(contact_sheet(images, cells, mean=MEAN, std=STD, group=group, title="a batch"))


def left_edges(drawn: np.ndarray, number: int) -> list[tuple[int, int]]:
    """Row and column at which each picture begins, found by its colour."""
    return [tuple(np.argwhere((drawn == colour).all(axis=2))[0].tolist()) for colour in colours(number)]


def test_pictures_are_drawn_as_the_model_sees_them_with_the_normalisation_taken_off() -> None:
    drawn = sheet(solid(6))
    for colour in colours(6):
        assert (drawn == colour).all(axis=2).sum() == 128 * 64  # enlarged four times, to 128 px


def test_an_identity_s_images_stand_together_in_a_row() -> None:
    places = left_edges(sheet(solid(48), group=4), 48)
    for start in range(0, 48, 4):
        rows, columns = zip(*places[start : start + 4], strict=True)
        assert len(set(rows)) == 1
        assert set(np.diff(columns).tolist()) == {70}
    assert places[4][1] - places[3][1] == 76  # and a little apart from the next one's


def test_large_batches_show_their_first_images() -> None:
    drawn = sheet(solid(MOST + 3))
    assert not (drawn == colours(MOST + 3)[-1]).all(axis=2).any()
    assert (drawn == colours(MOST + 3)[MOST - 1]).all(axis=2).any()


def test_no_random_number_is_drawn_and_long_names_stay_in_their_place(tmp_path: Path) -> None:
    config = DataConfig(identities=3, height=32, width=16, batch_size=4)
    training_set = open_training_set(config)
    state = torch.get_rng_state()
    batch = Batch(solid(4), torch.tensor([0, 1, 2, 2]), torch.tensor([1, 2, 3, 0]))
    save_sheet(sheet_of_batch(batch, training_set, config), tmp_path / "sheet.png")
    cells = [Cell(0, ("pid " + "x" * 500,))] * 4
    wide = contact_sheet(solid(4), cells, mean=MEAN, std=STD)
    assert torch.equal(state, torch.get_rng_state())
    assert wide.size[0] < 400
    with Image.open(tmp_path / "sheet.png") as written:
        assert written.size[0] < 400


def test_a_format_that_is_no_picture_s(tmp_path: Path) -> None:
    for name in ("sheet", "sheet.pdf", "sheet.txt"):
        with pytest.raises(UsageError, match=r"a contact sheet is a \.png"):
            save_sheet(Image.new("RGB", (4, 4)), tmp_path / name)
    assert not list(tmp_path.iterdir())
