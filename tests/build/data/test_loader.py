from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from reid_smoke.build.data.loader import Batch, build_loader
from reid_smoke.build.data.training_set import open_training_set
from reid_smoke.config.schema import DataConfig
from reid_smoke.errors import DataError
from reid_smoke.facts import UnreadableFacts
from tests.build.data.folders import market1501, truncate, write_market1501


def batches(config: DataConfig, seed: int = 0, epochs: int = 1) -> tuple[list[Batch], list[UnreadableFacts]]:
    unreadable: list[UnreadableFacts] = []
    loader = build_loader(open_training_set(config), config, seed=seed, on_unreadable=unreadable.append)
    seen: list[Batch] = []
    for _ in range(epochs):
        epoch = list(loader)
        assert len(epoch) == len(loader)
        seen += epoch
    return seen, unreadable


def same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True)
    )


def pedestrians(**fields: object) -> DataConfig:
    return DataConfig.model_validate({"identities": 10, "height": 32, "width": 16, "batch_size": 12, **fields})


def test_a_batch() -> None:
    seen, unreadable = batches(pedestrians())
    assert len(seen) == 6  # of 80 images; the last 8 are dropped
    batch = seen[0]
    assert isinstance(batch, Batch)
    images, labels, cameras = batch
    assert images.shape == (12, 3, 32, 16)
    assert (images.dtype, labels.dtype, cameras.dtype) == (torch.float32, torch.int64, torch.int64)
    assert labels.shape == cameras.shape == (12,)
    assert -3 < float(images.mean()) < 3
    assert unreadable == []


def test_a_seed_repeats_itself_and_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(7)
    state = torch.get_rng_state()
    config = pedestrians(augment=["flip", "pad_crop", "erase"])
    one, _ = batches(config, seed=5, epochs=2)
    again, _ = batches(config, seed=5, epochs=2)
    other, _ = batches(config, seed=6, epochs=2)
    assert same(one, again)
    assert not same(one, other)
    assert not same(one[:6], one[6:])
    assert torch.equal(state, torch.get_rng_state())


def test_loader_processes_give_the_same_batches(tmp_path: Path) -> None:
    write_market1501(tmp_path, range(1, 7))
    truncate(tmp_path / "bounding_box_train" / "0003_c1s1_000000_00.jpg")
    alone, unreadable_alone = batches(market1501(tmp_path, augment=["flip", "erase"]), epochs=3)
    shared, unreadable_shared = batches(market1501(tmp_path, augment=["flip", "erase"], workers=2), epochs=3)
    assert same(alone, shared)
    assert unreadable_alone == unreadable_shared
    assert len(unreadable_alone) == 1


def test_pk_batches() -> None:
    seen, _ = batches(pedestrians(sampler="pk", instances=4))
    for batch in seen:
        labels, counts = batch.labels.unique(return_counts=True)
        assert len(labels) == 3
        assert counts.tolist() == [4, 4, 4]


def test_iteration_goes_through_dataloader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever times batches patches `DataLoader.__iter__`, and must find ours there, with batches and a length."""
    found: list[tuple[object, int]] = []
    original = DataLoader.__iter__

    def watched(loader: DataLoader[object]) -> object:
        for batch in original(loader):
            found.append((batch, len(loader)))
            yield batch

    monkeypatch.setattr(DataLoader, "__iter__", watched)
    seen, _ = batches(pedestrians())
    assert [batch for batch, _ in found] == seen
    assert all(isinstance(batch, Batch) and length == 6 for batch, length in found)


def test_an_unreadable_image_is_named_once_and_replaced_by_one_of_its_identity(tmp_path: Path) -> None:
    write_market1501(tmp_path, [1, 2, 3], images_each=4)
    bad = truncate(tmp_path / "bounding_box_train" / "0002_c1s1_000000_00.jpg")
    seen, unreadable = batches(market1501(tmp_path), epochs=3)
    assert [fact.path for fact in unreadable] == [str(bad)]
    for epoch in range(3):
        labels = torch.cat([batch.labels for batch in seen[epoch * 3 : epoch * 3 + 3]])
        assert labels.bincount().tolist() == [4, 4, 4]


def test_where_an_identity_has_no_readable_image_another_comes_under_its_own_label(tmp_path: Path) -> None:
    write_market1501(tmp_path, [1, 2, 3], images_each=2)
    for bad in (tmp_path / "bounding_box_train").glob("0001*"):
        bad.write_bytes(b"")
    seen, unreadable = batches(market1501(tmp_path, batch_size=6))
    assert len(unreadable) == 2
    assert sorted(seen[0].labels.tolist()) in ([1, 1, 1, 1, 2, 2], [1, 1, 1, 2, 2, 2], [1, 1, 2, 2, 2, 2])
    greys = seen[0].images.mean(dim=(1, 2, 3))
    for label in (1, 2):  # the picture belongs to the label it is given
        assert float(greys[seen[0].labels == label].std()) < 0.1


@pytest.mark.parametrize("workers", [0, 2])
def test_nothing_readable_at_all_ends_with_a_message(tmp_path: Path, workers: int) -> None:
    write_market1501(tmp_path, [1, 2], images_each=3)
    for bad in (tmp_path / "bounding_box_train").iterdir():
        bad.write_bytes(b"gone")
    with pytest.raises(DataError, match=r"^not one image of the data set could be read; 6 were tried$"):
        batches(market1501(tmp_path, workers=workers))


def test_fewer_images_than_a_batch(tmp_path: Path) -> None:
    write_market1501(tmp_path, [1, 2], images_each=2)
    with pytest.raises(DataError, match="batch_size 64 is larger than the data: there are 4 images"):
        batches(market1501(tmp_path, batch_size=64))


def test_files_are_decoded_once(tmp_path: Path) -> None:
    write_market1501(tmp_path, [1, 2], images_each=4)
    config = market1501(tmp_path)
    loader = build_loader(open_training_set(config), config, seed=0, on_unreadable=print)
    first = list(loader)
    for path in (tmp_path / "bounding_box_train").iterdir():
        path.unlink()
    assert len(list(loader)) == len(first) == 2
