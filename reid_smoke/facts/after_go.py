"""What is measured once the verdict stands: retrieval, and the hand-over to SDM."""

from __future__ import annotations

from math import nan
from typing import Literal

from reid_smoke.facts.base import Fact


class RetrievedFacts(Fact):
    """How well images of the same identity are found."""

    mean_ap: float  # 0..1
    rank1: float  # 0..1
    by_caption: RetrievedFacts | None = None  # the same images, sought by what is said of them


class RetrievalFacts(Fact):
    """Images sought among others, by colour and by the model's features. Written once, after the training."""

    kind: Literal["retrieval"] = "retrieval"
    on: str  # which images, for people
    trained_on: bool = False  # they are those that were trained on
    identities: int
    queries: int  # that have something to be found
    gallery: int
    captions: int = 0  # of the gallery's images, by which they are sought as well
    drawn: bool = False  # some of the identities were drawn, since there are more images than were asked for
    cameras_apart: bool = True  # images of the query's identity and camera are left out; else only the query itself
    chance: RetrievedFacts
    colour: RetrievedFacts  # histograms of colours in stripes
    before: RetrievedFacts | None = None  # by the model's features, before training; None: not measured
    after: RetrievedFacts | None = None


class HandoverPlanFacts(Fact):
    """After a GO the training went on with SDM, and this is how. Its steps are no StepFacts: the verdict stands."""

    kind: Literal["handover_plan"] = "handover_plan"
    step: int  # the last one of the warm-up
    weights: tuple[float, ...]  # of SDM, rising
    ends: tuple[int, ...]  # the last step at each weight
    limit: float  # nats: CE over it holds the weight
    sides: str = ""  # what SDM compares, for people


class HandoverFacts(Fact):
    """Some steps in a row at one weight of SDM, ten mostly; of several ranks the first one's. Figures are means."""

    kind: Literal["handover"] = "handover"
    step: int  # the last of them
    steps: int
    weight: float
    ce: float  # nats, plain, of the head that is judged
    sdm: float  # nats, without its weight
    images: int  # that were trained on
    rows: int = 0  # of SDM's two softmaxes, over all the steps
    rows_without_positive: int = 0  # of them: nothing of their identity on the other side but the same picture
    rows_with_one_positive: int = 0
    cosine: float = nan  # between SDM's and CE's gradient, measured at one of the steps; NaN: at none
    norm_ratio: float = nan  # |gradient of SDM| / |gradient of CE|, without the weight
    shared: int = 0  # parameters that both losses reach, over which the two were taken


class HandoverEndFacts(Fact):
    """How a hand-over ended."""

    kind: Literal["handover_end"] = "handover_end"
    step: int
    how: Literal["finished", "not finite", "interrupted", "crashed"]
    seconds: float = nan
