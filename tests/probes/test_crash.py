"""Where a training crashed, as its author would look for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from reid_smoke.facts import CrashFacts
from reid_smoke.probes.crash import read_crash
from reid_smoke.probes.labels import LabelsBeforeLoss


def read(error: BaseException) -> CrashFacts:
    return read_crash(error, 3, LabelsBeforeLoss())


def test_the_place_is_the_users_own_line() -> None:
    with pytest.raises(json.JSONDecodeError) as in_a_library:
        json.loads("{")
    with pytest.raises(RuntimeError) as in_torch:
        torch.nn.Linear(2, 3)(torch.zeros(1, 4))
    for raised in (in_a_library, in_torch):
        file, _, line = read(raised.value).where.rpartition(":")
        assert (Path(file), int(line)) == (Path(__file__), raised.traceback[0].lineno + 1)


def test_where_no_frame_is_the_users_it_is_the_innermost() -> None:
    with pytest.raises(json.JSONDecodeError) as raised:
        json.loads("{")
    assert raised.value.__traceback__ is not None
    error = raised.value.with_traceback(raised.value.__traceback__.tb_next)
    assert "decoder.py:" in read(error).where


@pytest.mark.parametrize(("labels", "only"), [([4, 4, 4], 4), ([4, 4, 5], None), ([], None)])
def test_a_hardest_negative_that_is_not_there(labels: list[int], only: int | None) -> None:
    def hardest_negative(labels: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(labels), 0).min(1).values  # (B,)

    with pytest.raises(IndexError) as raised:
        hardest_negative(torch.tensor(labels, dtype=torch.int64))
    assert read(raised.value).only_label == only


@pytest.mark.parametrize(("labels", "bad"), [([0, 9, 12, 3], (9, 12)), ([0, 1, -1, 2], (-1,))])
def test_labels_that_one_hot_cannot_take(labels: list[int], bad: tuple[int, ...]) -> None:
    """A margin or a mask is often made of it, before any loss sees the label."""

    def with_a_margin(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x - 0.3 * torch.nn.functional.one_hot(y, x.size(1))

    with pytest.raises(RuntimeError) as raised:
        with_a_margin(torch.zeros(4, 9), torch.tensor(labels))
    crash = read(raised.value)
    assert (crash.bad_labels, crash.num_classes) == (bad, 9)


def asserted(scores: torch.Tensor, feature: torch.Tensor) -> None:
    raise RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be reported late")


@pytest.mark.parametrize(
    ("batch", "known", "bad"),
    [
        (["names", torch.zeros(4, 3, 2, 2), torch.tensor([0, 9, 12, 3]), torch.tensor([1, 99, 1, 1])], None, (12,)),
        ((torch.tensor([0, 9, 12, -1]), torch.tensor([0, 500, 1, 1])), 12, (-1, 12)),
        ({"index": torch.tensor([70, 80]), "pids": torch.tensor([10, 11])}, 11, (11,)),
        ([torch.zeros(2, 3), torch.tensor([3, 4]), torch.tensor([300, 400])], 12, ()),  # labels that fit: another fault
        ("no batch that we know", 12, ()),
    ],
)
def test_labels_that_no_loss_of_torchs_was_given_are_those_that_the_loader_gave(
    batch: object, known: int | None, bad: tuple[int, ...]
) -> None:
    """Smoothing by hand scatters them: on a GPU nothing says more than that an index was too large."""
    labels = LabelsBeforeLoss()
    labels.classes = known
    labels.fetched(batch)
    with pytest.raises(RuntimeError) as raised:
        asserted(torch.zeros(4, 11), torch.zeros(4, 6))
    crash = read_crash(raised.value, 0, labels)
    assert crash.bad_labels == bad
    assert crash.num_classes == ((known or 11) if bad else None)


def test_labels_of_several_heads_are_brought_once_and_again_when_they_changed() -> None:
    noted, logits, labels = LabelsBeforeLoss(), torch.zeros(4, 6), torch.tensor([0, 5, 2, 1])
    for _ in range(100):
        noted.note(logits, labels, -100)
    assert len(noted.pinned) == 1
    assert noted.bad() == ((), None)
    noted.note(torch.zeros(4, 5), labels, -100)  # the same labels are too large for another head
    assert noted.bad() == ((5,), 5)
    labels[0] = 9
    noted.note(logits, labels, -100)
    assert noted.bad() == ((9,), 6)
    noted.note(logits, torch.tensor([0, 5, 2, 7]), -100)
    assert noted.bad() == ((7,), 6)
    with torch.inference_mode():
        labels = torch.tensor([0, 5, 2, 8])
        noted.note(logits, labels, -100)
        assert noted.bad() == ((8,), 6)
        labels[3] = 11  # such a tensor does not tell that it was written to
        noted.note(logits, labels, -100)
        assert noted.bad() == ((11,), 6)
