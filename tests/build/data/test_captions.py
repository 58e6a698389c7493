"""Captions say what is drawn, and no more than can be seen."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from reid_smoke.build.data import wardrobe as w
from reid_smoke.build.data.canvas import BACK, FRONT, SIDE
from reid_smoke.build.data.captions import CAPTIONS, captions_of, colour_name
from reid_smoke.build.data.pedestrians import Pedestrians, render_pedestrians
from reid_smoke.build.data.training_set import open_training_set
from reid_smoke.config.schema import DataConfig


@pytest.fixture(scope="module")
def rendered() -> Pedestrians:
    return render_pedestrians(120, 32, 16)


def test_the_same_captions_on_every_machine(rendered: Pedestrians) -> None:
    """A new hash means new data: every figure measured on the old ones must be measured again."""
    said = captions_of(rendered)
    assert [len(each) for each in said] == [CAPTIONS] * len(rendered.pixels)
    assert hashlib.sha256(repr(said).encode()).hexdigest()[:16] == "d561853c4d08d4b0"
    assert captions_of(rendered, seed=1) != said


def test_captions_say_what_is_drawn_and_no_more_than_is_seen(rendered: Pedestrians) -> None:
    people, poses = rendered.people, rendered.poses
    for image, captions in enumerate(captions_of(rendered)):
        who, turn = int(rendered.identities[image]), int(poses.turn[image])
        upper, lower = colour_name(people.upper[who]), colour_name(people.lower[who])
        leg = {w.TROUSERS: ("trousers", "pants"), w.SHORTS: ("shorts",), w.SKIRT: ("skirt",)}[int(people.legwear[who])]
        for caption in captions:
            said = caption.lower()
            assert f"{upper} " in said
            assert any(f"{lower} {name}" in said for name in leg)
            assert ("coat" in said) == (people.hem[who] >= w.COAT_HEM)
            assert ("horizontal" in said) == (people.pattern[who] == w.HOOPS)
            assert ("logo" in said) == (people.pattern[who] == w.LOGO and turn == FRONT)
            assert "beard" not in said or (people.beard[who] and turn != BACK)
            assert "glasses" not in said or (people.glasses[who] and turn != BACK)
            assert "shoes" not in said or (
                f"{colour_name(people.shoes[who])} shoes" in said and poses.obstacle[image] != 1
            )
            assert not ("backpack" in said or "rucksack" in said) or people.bag[who] == w.BACKPACK
            if "over the shoulder" in said or "shoulder bag" in said:
                assert people.bag[who] == w.SHOULDER_BAG
                assert turn != SIDE or poses.heading[image] > 0


def test_every_detail_comes_up(rendered: Pedestrians) -> None:
    everything = " ".join(caption for each in captions_of(rendered) for caption in each)
    for word in ("beard", "glasses", "shoes", "backpack", "handbag", "shoulder bag", "hat", "bald", "tights", "logo"):
        assert word in everything


def test_the_captioned_set_is_the_same_images_with_captions() -> None:
    plain, captioned = (
        open_training_set(DataConfig(source=source, identities=5, height=32, width=16))
        for source in ("pedestrians", "captioned_pedestrians")
    )
    assert plain.pixels is not None
    assert captioned.pixels is not None
    assert np.array_equal(plain.pixels, captioned.pixels)
    assert plain.vocabulary is None
    assert captioned.vocabulary is not None
    assert [sample.image for sample in captioned.samples] == [i for i in range(40) for _ in range(CAPTIONS)]
    assert all(sample.caption for sample in captioned.samples)
