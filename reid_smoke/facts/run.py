"""How a training was started, what became of it, and how it ended."""

from __future__ import annotations

from math import nan
from typing import Literal

from pydantic import Field

from reid_smoke.facts.base import SCHEMA_VERSION, Fact


class RunFacts(Fact):
    """What was started, and the plan it is judged by. The first line of every ledger."""

    kind: Literal["run"] = "run"
    schema_version: int = SCHEMA_VERSION
    way_in: Literal["run", "overfit", "watch", "triage"]
    name: str
    command: str = ""
    config: str = ""  # path of the YAML, as it was given; "": none
    started: str = ""  # ISO 8601, UTC
    window: tuple[int, int] = (200, 300)  # steps, both ends included
    planned_steps: int | None = None
    steps_per_epoch: int | None = None
    max_ce: float | None = None  # nats; None: log C - 0.39
    feat_norm: float | None = None  # the norm that the BN feature is scaled to by plan; None: not scaled, or not known
    head: str | None = None  # name of the head's weight, where the plan knows it
    ranks: int = 1  # processes that train together; all other facts but those of ranks are the first one's
    ignored: dict[str, str] = Field(default_factory=dict)  # code of a check -> why what it finds may stand
    environment: dict[str, str] = Field(default_factory=dict)


class BaselineFacts(Fact):
    """A former report, whose findings are known; see baseline.py for what that means."""

    kind: Literal["baseline"] = "baseline"
    file: str  # as it was given, with forward slashes
    findings: dict[str, Literal["fatal", "fail", "warn"]]  # code -> severity


class StartupFacts(Fact):
    """Where the seconds before the first step went, phase by phase, in order."""

    kind: Literal["startup"] = "startup"
    phases: dict[str, float]  # name for people -> seconds


class ExecutionFacts(Fact):
    """How a GPU was asked for the steps of `run`, and what memory they took."""

    kind: Literal["execution"] = "execution"
    captured: bool  # each step as one CUDA graph
    reason: str = ""  # why not
    peak: int | None = None  # bytes that the training held at most
    total: int | None = None  # bytes that the device has


class CrashFacts(Fact):
    """The training raised."""

    kind: Literal["crash"] = "crash"
    step: int
    exception: str
    message: str
    where: str  # file:line of the innermost frame of the user's
    bad_labels: tuple[int, ...] = ()  # labels outside 0..C-1 in the batch that crashed; on a GPU the least and largest
    num_classes: int | None = None
    only_label: int | None = None  # that every image of the batch carries, where a reduction over nothing raised
    unequal: tuple[
        int, ...
    ] = ()  # images of each identity of the batch, where pairs of them made no rows of one length
    rank: int = 0  # where it was raised


class OutOfMemoryFacts(Fact):
    """A step asked for more memory than there was. One for each time; what `run` did then is in `then`."""

    kind: Literal["out_of_memory"] = "out_of_memory"
    step: int  # whole ones before it
    batch: int | None  # images; None: not known
    device: str = ""  # torch's name of it; "": not known
    peak: int | None = None  # bytes that the training held at most; None: not counted, as on a CPU
    total: int | None = None  # bytes that the device has
    elsewhere: int | None = None  # of them, that other processes and the driver hold
    then: tuple[str, ...] = ()  # as `--set` takes it: with what the training was begun anew; empty: it ended there
    rank: int = 0  # where it was


class ProbeFault(Fact):
    """One of our own probes failed; the training went on without it."""

    kind: Literal["probe_fault"] = "probe_fault"
    step: int
    probe: str
    message: str


class EndFacts(Fact):
    """How it ended. A ledger without this line was killed."""

    kind: Literal["end"] = "end"
    step: int
    epoch: int | None = None  # of that step; None where nobody counted it
    step_in_epoch: int | None = None
    how: Literal["finished", "stopped", "interrupted", "crashed"]
    startup_s: float
    train_s: float
    images_per_s: float
    data_wait_share: float

    @classmethod
    def unmeasured(cls, step: int, how: Literal["finished", "stopped", "interrupted", "crashed"]) -> EndFacts:
        """Of a training whose clocks cannot be read any more."""
        return cls(step=step, how=how, startup_s=nan, train_s=nan, images_per_s=nan, data_wait_share=nan)
