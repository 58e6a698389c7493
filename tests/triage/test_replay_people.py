"""Embedded people in the place of the images that were kept."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from reid_smoke.triage.replay_forward import images_of_batch
from reid_smoke.triage.replay_kept import Batch, Call, CannotReplay, Given
from reid_smoke.triage.replay_people import with_embedded_people


def batch(labels: list[int], *, channels: int = 3, ignored: int = 0) -> Batch:
    """What a model that wants images and labels in a dict was given, and a head what the model returned."""
    of_rows = torch.tensor(labels)
    counted = torch.arange(len(labels)) >= ignored
    images = torch.zeros(len(labels), channels, 32, 16)
    model, head = nn.Identity(), nn.Identity()
    given = Call(model, ({"images": images, "targets": of_rows.clone(), "cameras": of_rows + 1},), {})
    calls = (given, Call(head, (Given(0, ()),), {"labels": of_rows.clone()}))
    return Batch(calls, of_rows, counted, 10, Given(1, ()))


def same_people(images: Tensor, labels: Tensor) -> float:
    """How much nearer two images of a label are than two of different ones, over the means of their colours."""
    colours = images.flatten(2).mean(2)
    apart = torch.cdist(colours, colours)
    same = labels[:, None] == labels[None]
    return float(apart[~same].mean() - apart[same].mean())


def test_each_label_comes_as_often_and_stands_where_the_modules_are_given_it() -> None:
    kept = [batch([1, 1, 1, 7]), batch([7, 3, 3, 9]), batch([9, 9, 1, 3])]
    swapped = with_embedded_people(kept)
    before = Counter(torch.cat([one.labels for one in kept]).tolist())
    assert Counter(torch.cat([one.labels for one in swapped]).tolist()) == before
    for one, original in zip(swapped, kept, strict=True):
        given = one.calls[0].args[0]
        assert torch.equal(given["targets"], one.labels)
        assert torch.equal(one.calls[1].kwargs["labels"], one.labels)
        assert torch.equal(given["cameras"], original.calls[0].args[0]["cameras"])
        assert given["images"].shape == (4, 3, 32, 16)
        assert one.calls[1].args == (Given(0, ()),)
        assert not original.calls[0].args[0]["images"].any()  # what was kept is as it was
    images = torch.cat([found for one in swapped if (found := images_of_batch(one)) is not None])
    assert same_people(images, torch.cat([one.labels for one in swapped])) > 0
    assert len(images.flatten(1).unique(dim=0)) == 12  # no image twice


@pytest.mark.parametrize("labels", [[4] * 16, [-100] * 16])
def test_where_theirs_are_all_the_same_there_are_some_to_tell_apart(labels: list[int]) -> None:
    (swapped,) = with_embedded_people([batch(labels, ignored=16 * (labels[0] < 0))])
    assert len(set(swapped.labels.tolist())) == 2
    assert bool(swapped.counted.all())


def test_what_holds_no_images_is_refused() -> None:
    with pytest.raises(CannotReplay, match="no images"):
        with_embedded_people([batch([1, 2], channels=1)])
