"""Which images are sought among which, by whom, and that measuring leaves the training as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reid_smoke.build.data.images import normalise, resize
from reid_smoke.build.data.training_set import TrainingSet, open_training_set
from reid_smoke.config.schema import DataConfig
from reid_smoke.errors import DataError
from reid_smoke.retrieval.colour import colour_stripes
from reid_smoke.retrieval.probe import RetrievalProbe, retrieval_probe
from tests.build.data.folders import market1501, write_image, write_market1501


class MeanColour(nn.Module):
    """A feature that tells the fixtures' people apart: the mean of each channel, and what it was called with."""

    def __init__(self, sign: float = 1.0) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(3)
        self.sign = sign

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        mean = self.bn(images).mean(dim=(2, 3))  # (B, 3)
        return torch.cat([mean, self.sign * torch.ones(len(mean), 1)], dim=1)


COLOURS = {1: (200, 30, 30), 2: (30, 200, 30), 3: (30, 30, 200)}


def three_people(root: Path, folder: str, cameras: int = 2) -> None:
    for pid, colour in COLOURS.items():
        for camera in range(1, cameras + 1):
            write_image(root / folder / f"{pid:04d}_c{camera}s1_000001_00.jpg", colour)


def probe(config: DataConfig, most: int = 100) -> RetrievalProbe:
    return retrieval_probe(config, open_training_set(config), most=most, seed=0)


def test_queries_in_the_gallery(tmp_path: Path) -> None:
    write_market1501(tmp_path, [7, 8])
    three_people(tmp_path, "query", cameras=1)
    three_people(tmp_path, "bounding_box_test", cameras=3)
    write_image(tmp_path / "bounding_box_test" / "0000_c2s1_000001_00.jpg", (90, 90, 90))  # a distractor
    write_image(tmp_path / "bounding_box_test" / "-1_c2s1_000001_00.jpg", (90, 90, 90))
    measured = probe(market1501(tmp_path))
    facts = measured.facts
    assert (facts.on, facts.trained_on, facts.cameras_apart) == ("query in gallery", False, True)
    assert (facts.queries, facts.gallery, facts.identities) == (3, 10, 4)
    assert facts.colour.mean_ap == facts.colour.rank1 == 1.0
    # Of ten images one is of the query's own camera and left out; two of the other nine match.
    assert facts.chance.rank1 == pytest.approx(2 / 9)
    assert measured.of_model(MeanColour(), torch.device("cpu")).mean_ap == 1.0


class Told(MeanColour):
    """Gives each caption the feature of an image that shows its identity; `astray`: of another identity's."""

    def __init__(self, training_set: TrainingSet, astray: bool) -> None:
        super().__init__()
        vocabulary = training_set.vocabulary
        assert vocabulary is not None
        samples = training_set.samples
        images = torch.stack([resize(training_set.image(place), 32, 16) for place in range(len(samples))])
        features = self.eval()(normalise(images, (0, 0, 0), (1, 1, 1)))
        of = {s.label: features[i] for i, s in enumerate(samples)}
        identities = len(of)
        self.features = {tuple(vocabulary.encode(str(s.caption))): of[(s.label + astray) % identities] for s in samples}

    def caption_features(self, tokens: Tensor) -> Tensor:
        return torch.stack([self.features[tuple(n for n in row.tolist() if n)] for row in tokens])


def test_images_are_sought_by_their_captions_too() -> None:
    config = DataConfig(
        source="captioned_pedestrians", identities=5, height=32, width=16, mean=(0, 0, 0), std=(1, 1, 1)
    )
    training_set = open_training_set(config)
    measured = retrieval_probe(config, training_set, most=100, seed=0, captions=True)
    facts = measured.facts
    assert (facts.captions, facts.gallery) == (80, 40) == (len(training_set.samples), 40)  # two of each image
    assert facts.chance.by_caption is not None
    assert facts.chance.by_caption.rank1 == pytest.approx(1 / 5)  # each identity has as many images
    assert facts.colour.by_caption is None
    right, wrong = (
        measured.of_model(Told(training_set, astray), torch.device("cpu")).by_caption for astray in (False, True)
    )
    assert right is not None
    assert wrong is not None
    assert right.rank1 == 1.0  # the nearest image is the one whose feature it was given
    assert wrong.rank1 == 0.0
    assert right.mean_ap > wrong.mean_ap
    assert retrieval_probe(config, training_set, most=100, seed=0).facts.captions == 0


def test_without_queries_each_training_image_among_the_others(tmp_path: Path) -> None:
    three_people(tmp_path, "bounding_box_train")
    facts = probe(market1501(tmp_path)).facts
    assert (facts.trained_on, facts.queries, facts.gallery, facts.cameras_apart) == (True, 6, 6, True)
    assert facts.chance.rank1 == pytest.approx(1 / 5)


def test_where_cameras_say_nothing_only_the_image_itself_is_left_out(tmp_path: Path) -> None:
    for pid in ("a", "b"):
        for number in range(3):
            write_image(tmp_path / pid / f"{number}.png", COLOURS[1 if pid == "a" else 2])
    facts = probe(DataConfig(source="image_folder", root=tmp_path, height=32, width=16)).facts
    assert (facts.queries, facts.cameras_apart, facts.colour.rank1) == (6, False, 1.0)
    assert facts.chance.rank1 == pytest.approx(2 / 5)


def test_whole_identities_are_drawn(tmp_path: Path) -> None:
    write_market1501(tmp_path, range(1, 11), images_each=4)
    facts = probe(market1501(tmp_path), most=13).facts
    assert (facts.identities, facts.gallery, facts.drawn) == (3, 12, True)
    assert facts == probe(market1501(tmp_path), most=13).facts


def test_an_identity_too_large_to_fit_is_passed_over(tmp_path: Path) -> None:
    write_market1501(tmp_path, range(1, 6), images_each=4)
    write_market1501(tmp_path, [0], images_each=30)
    facts = probe(market1501(tmp_path), most=20).facts
    assert (facts.identities, facts.gallery, facts.drawn) == (5, 20, True)
    with pytest.raises(DataError, match=r"images 7 is too few: two identities of .* have 8"):
        probe(market1501(tmp_path), most=7)


def test_an_image_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    three_people(tmp_path, "bounding_box_train")
    (tmp_path / "bounding_box_train" / "0001_c1s1_000001_00.jpg").write_bytes(b"gone")
    facts = probe(market1501(tmp_path)).facts
    assert (facts.queries, facts.gallery) == (4, 5)  # and the one that it was the only match of


def test_nobody_has_a_second_image(tmp_path: Path) -> None:
    three_people(tmp_path, "bounding_box_train", cameras=1)
    with pytest.raises(DataError, match="no identity has a second image"):
        probe(market1501(tmp_path))


def test_measuring_changes_nothing_of_the_model(tmp_path: Path) -> None:
    three_people(tmp_path, "bounding_box_train")
    model = nn.Sequential(MeanColour(), nn.Dropout(0.5))
    model[0].bn.eval()  # as somebody has set it
    before, random = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    probe(market1501(tmp_path)).of_model(model, torch.device("cpu"))
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())


def test_features_that_are_no_numbers_find_nobody(tmp_path: Path) -> None:
    three_people(tmp_path, "bounding_box_train")
    measured = probe(market1501(tmp_path)).of_model(MeanColour(sign=float("nan")), torch.device("cpu"))
    assert 0 <= measured.mean_ap < 1


def test_colour_stripes_see_which_half_is_which() -> None:
    def dressed(top: int, legs: int) -> np.ndarray:
        return np.repeat(np.array([top, legs], dtype=np.uint8), 16)[None, :, None].repeat(3, axis=0).repeat(8, axis=2)

    same, other = colour_stripes(dressed(200, 20)), colour_stripes(dressed(20, 200))
    assert np.linalg.norm(same) == pytest.approx(1)
    assert same @ colour_stripes(dressed(200, 20)) == pytest.approx(1)
    assert same @ other < 0.7  # hue and saturation of greys are the same
