"""The other ranks of a training of several processes."""

from __future__ import annotations

from typing import Literal

from reid_smoke.facts.base import Fact


class RankStartFacts(Fact):
    """A rank other than the first came up. The first line of its own file."""

    kind: Literal["rank_start"] = "rank_start"
    rank: int
    ranks: int  # of them all
    host: str = ""
    pid: int = 0
    started: float = 0.0  # seconds since 1970


class RankFacts(Fact):
    """One step of a rank other than the first, condensed from its own StepFacts.

    Written for its first steps, for every tenth, and for those at which something is new: another batch size, another
    epoch, a CE that is no number. Sums count from the training's start.
    """

    kind: Literal["rank"] = "rank"
    rank: int
    step: int
    step_in_epoch: int = 0
    batch: int
    label_checksum: float
    distinct_labels: int
    ce: float
    head_norm: float
    head_grad: float  # as the optimizer found it
    backbone_grad: float
    lr_head: float | None = None
    lr_backbone: float | None = None
    applied: bool = True
    updates: int = 0  # steps so far at which its optimizer stepped
    images: int = 0  # so far
    data_s: float = 0.0  # waited for batches so far
    compute_s: float = 0.0
    batches_promised: int | None = None  # len(loader)


class RankEndFacts(Fact):
    """How a rank other than the first ended, or what was last heard of it."""

    kind: Literal["rank_end"] = "rank_end"
    rank: int
    step: int
    how: Literal["finished", "stopped", "interrupted", "crashed", "killed", "running", "unheard"]
    # killed: its process is gone, and it wrote no end. running: not ended when the first rank did.
    # unheard: none of its facts could be read here.


class GroupFacts(Fact):
    """The place of a process that the watched script started in the process group that it has joined."""

    kind: Literal["group"] = "group"
    rank: int
    ranks: int


class StartedFacts(Fact):
    """What a process that the watched script started knows, and the script's own has to tell in the report."""

    kind: Literal["started"] = "started"
    environment: dict[str, str]
    unclassified: dict[str, int]  # losses without a classification, in words -> how often, while none had any
