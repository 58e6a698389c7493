"""The retrieval figure: which images are sought among which, and how well colour and the model find them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from reid_smoke.build.data.images import normalise, resize
from reid_smoke.build.data.training_set import Sample, TrainingSet, UnreadableImage, open_part
from reid_smoke.build.data.words import Vocabulary
from reid_smoke.config.schema import DataConfig
from reid_smoke.errors import DataError
from reid_smoke.facts import RetrievalFacts, RetrievedFacts
from reid_smoke.retrieval.captions import Captions
from reid_smoke.retrieval.colour import colour_stripes
from reid_smoke.retrieval.ranking import Ranked, chance, rank, similarity

BATCH = 64  # images


class _Image(NamedTuple):
    part: TrainingSet
    place: int

    @property
    def sample(self) -> Sample:
        return self.part.samples[self.place]


@dataclass(frozen=True, eq=False)
class RetrievalProbe:
    """Images to be sought and images to find them among, decoded once; the same before and after a training."""

    images: Tensor  # (N, 3, H, W) uint8, at the model's size
    queries: NDArray[np.int64]  # (Q,) places in `images`
    gallery: NDArray[np.int64]  # (G,)
    match: NDArray[np.bool_]  # (Q, G), the same identity
    left_out: NDArray[np.bool_]  # (Q, G)
    captions: Captions | None  # of the gallery
    facts: RetrievalFacts  # without the model's figures
    config: DataConfig

    def of_model(self, model: nn.Module, device: torch.device) -> RetrievedFacts:
        """How well the model's features find them, by cosine. In eval mode, without a gradient; then it is as it was.

        By their captions as well, where those are there: `model.caption_features` is then needed.

        No random number is drawn and nothing of the model changes, so that the training after it stays the same.
        """
        modes = {module: module.training for module in model.modules()}
        model.eval()
        try:
            with torch.no_grad():
                features = torch.cat(
                    [
                        F.normalize(_feature(model(self._batch(start, device))).float(), dim=1).cpu()
                        for start in range(0, len(self.images), BATCH)
                    ]
                )  # (N, D)
                said = self.captions.features(model, device) if self.captions is not None else None  # (T, D)
        finally:
            for module, mode in modes.items():
                module.training = mode
        sought, among = features[self.queries], features[self.gallery]
        by_caption = self.captions.rank(said, among) if self.captions is not None and said is not None else None
        return _facts(rank(similarity(sought.numpy(), among.numpy()), self.match, self.left_out), by_caption)

    def _batch(self, start: int, device: torch.device) -> Tensor:
        batch = self.images[start : start + BATCH].to(device)
        return normalise(batch, self.config.mean, self.config.std)  # (B, 3, H, W)


def retrieval_probe(
    config: DataConfig, training_set: TrainingSet, *, most: int, seed: int, captions: bool = False
) -> RetrievalProbe:
    """The data set's queries and gallery; where it has no queries, each image of its gallery among the others; where
    it has neither, each training image among the others.

    most: images in all. Where there are more, whole identities are drawn until there are as many.
    captions: the images are sought by their captions, too, in the training set's words.

    Raises DataError where nothing could be found: no identity has two images.
    """
    gallery = open_part(config, "gallery")
    query = open_part(config, "query") if gallery is not None else None
    words = training_set.vocabulary if captions else None
    if gallery is None:
        on = "training images, each among the others"
        found = probe_among(config, None, training_set, on, most=most, seed=seed, vocabulary=words)
        return replace(found, facts=found.facts.model_copy(update={"trained_on": True}))
    on = "test images, each among the others" if query is None else "query in gallery"
    return probe_among(config, query, gallery, on, most=most, seed=seed, vocabulary=words)


def probe_among(
    config: DataConfig, sought: TrainingSet | None, among: TrainingSet, on: str, *, most: int, seed: int,
    vocabulary: Vocabulary | None = None,
) -> RetrievalProbe:  # fmt: skip
    """The images of `sought` in those of `among`; without `sought`, each of `among` in the others.

    With a `vocabulary` those of `among` by their captions, too. `on` says so, for people. Raises DataError
    as `retrieval_probe` does.
    """
    chosen, drawn = _choose([part for part in (sought, among) if part is not None], most, seed)
    decoded, kept = _decode(chosen, config)
    places = np.arange(len(kept))
    is_query = np.array([sought is None or image.part is sought for image in kept], dtype=bool)
    is_gallery = np.array([image.part is among for image in kept], dtype=bool)
    queries, found_in = places[is_query], places[is_gallery]
    match, left_out, apart = _protocol([image.sample for image in kept], queries, found_in)
    has_match = (match & ~left_out).any(axis=1) if len(queries) else np.zeros(0, dtype=bool)
    if not has_match.any():
        raise DataError(f"retrieval: of {on} in {among.source}, no identity has a second image to be found")
    queries, match, left_out = queries[has_match], match[has_match], left_out[has_match]
    shown = [kept[place].sample for place in found_in]
    captions = Captions.of(among.samples, shown, vocabulary) if vocabulary is not None else None
    colours = np.stack([colour_stripes(image.numpy()) for image in decoded])  # (N, 384)
    facts = RetrievalFacts(
        on=on,
        identities=len({image.sample.pid for image in kept}),
        queries=len(queries),
        gallery=len(found_in),
        drawn=drawn,
        cameras_apart=apart,
        captions=len(captions.tokens) if captions is not None else 0,
        chance=_facts(chance(match, left_out), captions.chance() if captions is not None else None),
        colour=_facts(rank(similarity(colours[queries], colours[found_in]), match, left_out)),
    )
    return RetrievalProbe(decoded, queries, found_in, match, left_out, captions, facts, config)


def _choose(parts: list[TrainingSet], most: int, seed: int) -> tuple[list[_Image], bool]:
    """Every image of as many identities as fit into `most`, and whether that is fewer than all.

    An image of several captions counts once. An identity of more images than fit is passed over: Market-1501's gallery
    has one, pid 0, which is 2,798 strangers. Raises DataError where fewer than two fit.
    """
    of_pid: dict[int | str, list[_Image]] = {}
    for part in parts:
        taken: set[str | int] = set()
        for index, sample in enumerate(part.samples):
            if sample.image not in taken:
                taken.add(sample.image)
                of_pid.setdefault(sample.pid, []).append(_Image(part, index))
    pids = sorted(of_pid, key=str)
    chosen: list[_Image] = []
    identities = 0
    for place in np.random.RandomState(seed).permutation(len(pids)).tolist():
        images = of_pid[pids[place]]
        if len(chosen) + len(images) <= most:
            chosen += images
            identities += 1
    if identities < min(2, len(pids)):
        fewest = sum(sorted(map(len, of_pid.values()))[:2])
        raise DataError(f"retrieval.images {most} is too few: two identities of {parts[-1].source} have {fewest}")
    return chosen, identities < len(pids)


def _decode(chosen: list[_Image], config: DataConfig) -> tuple[Tensor, list[_Image]]:
    """(N, 3, H, W) uint8 and whose they are, without those that cannot be read: the loader names them.

    Raises DataError where none can.
    """
    decoded, kept = [], []
    for image in chosen:
        try:
            decoded.append(resize(image.part.image(image.place), config.height, config.width))
            kept.append(image)
        except UnreadableImage:
            continue
    if not kept:
        raise DataError(f"retrieval: not one of {len(chosen)} images could be read")
    return torch.stack(decoded), kept


def _protocol(
    samples: list[Sample], queries: NDArray[np.int64], gallery: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], bool]:
    """Match and left out, (Q, G) each, and whether images of the query's own camera are left out.

    They are, as ReID's protocol wants it, where cameras are known and an identity is seen by two of them. Else it is
    only the query itself.
    """
    number = {pid: place for place, pid in enumerate(dict.fromkeys(sample.pid for sample in samples))}
    pids = np.array([number[sample.pid] for sample in samples])
    cameras = np.array([sample.camera for sample in samples])
    match = pids[queries][:, None] == pids[gallery][None, :]
    itself = queries[:, None] == gallery[None, :]
    same_camera = match & (cameras[queries][:, None] == cameras[gallery][None, :])
    apart = bool((match & ~same_camera).any())
    return match, (same_camera | itself) if apart else itself, apart


def _feature(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """(B, D): what the model gives in eval mode, or the last of several."""
    return output if isinstance(output, Tensor) else output[-1]


def _facts(ranked: Ranked, by_caption: Ranked | None = None) -> RetrievedFacts:
    said = _facts(by_caption) if by_caption is not None else None
    return RetrievedFacts(mean_ap=ranked.mean_ap, rank1=ranked.rank1, by_caption=said)
