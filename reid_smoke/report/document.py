"""The report as a document: everything a reader is told of one run, in the shape of report.json; no torch.

Whatever is rendered later (terminal, HTML, JUnit, GitHub) is rendered from this, so that `report RUN_DIR` can do it
again from a past run. Keys are only ever added.

JSON has no word for not-a-number and infinity. A figure that was not finite, or was not measured, is null here: whoever
reads the document gets a number or nothing, never a string among numbers. `ce.not_finite_at` names the first step at
which CE was no finite number, and facts.jsonl keeps the values themselves.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from reid_smoke.checks.catalogue import Severity, Status
from reid_smoke.report.handover import Handover
from reid_smoke.report.ranks import RankEntry
from reid_smoke.verdict import VerdictWord


class Entry(BaseModel):
    """Base of the document's parts. Keys of a later version are read over, not refused."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Rule(Entry):
    num_classes: int | None
    chance_ce: float | None  # nats, log of num_classes
    max_ce: float | None  # the bar, nats
    window: tuple[int, int]  # steps, both included
    moved_from: tuple[int, int] | None = None
    looks: float | None = None  # per identity, at the window's end or at the last step where that comes first
    identities_in_play: int | None = None  # exp(CE), at most all of them


class Ce(Entry):
    first: float | None
    window_mean: float | None
    last: float | None
    trend_per_100_steps: float | None
    curve: tuple[tuple[int, float | None], ...]  # (step, CE)
    not_finite_at: int | None = None


class FindingEntry(Entry):
    code: str
    slug: str
    title: str
    severity: Severity
    step: int
    evidence: str
    mend: str
    primary: bool  # the first cause
    because_of: str | None = None  # code of the finding that explains this one
    known: bool = False  # stands in the baseline


class IgnoredEntry(FindingEntry):
    """What a check found that the user wants ignored."""

    reason: str  # theirs


class CheckEntry(Entry):
    code: str
    slug: str
    status: Status
    error: str = ""  # what the check itself crashed with


class Checks(Entry):
    """How many checks ended how. Neither `skipped` nor `errored` is a pass."""

    passed: int
    warned: int = 0
    failed: int
    skipped: int
    errored: int
    ignored: int = 0  # found something, which the user wants ignored
    results: tuple[CheckEntry, ...] = ()


class Crash(Entry):
    step: int
    exception: str
    message: str
    where: str
    rank: int = 0


class Baseline(Entry):
    """A former report, and which of its findings came again; baseline.py has the rule."""

    file: str
    known: tuple[str, ...]  # codes found then and now
    new: tuple[str, ...]  # found now, and not then or less gravely
    gone: tuple[str, ...]  # found then
    excused: bool  # the verdict is NO-GO by known faults alone, while CE passes: the exit code is 0


class TrialEntry(Entry):
    """A re-run with one thing changed; the first has nothing changed."""

    name: str
    settings: tuple[str, ...] = ()  # the change as `--set` takes it
    batches: Literal["few", "stream"]  # the same few over and over, or those of the training one after another
    distinct_batches: int
    steps: int
    ce_first: float | None
    ce_last: float | None
    learned: bool
    error: str = ""  # what it crashed with
    seconds: float


class ProofEntry(Entry):
    """What the trials say together."""

    trial: str | None  # the smallest change that made CE fall
    settings: tuple[str, ...] = ()
    conclusion: str


class Retrieved(Entry):
    mean_ap: float  # 0..1
    rank1: float  # 0..1
    by_caption: Retrieved | None  # the same images, sought by what is said of them


class Retrieval(Entry):
    """How well people are found: a figure beside the verdict, and no part of it."""

    on: str  # which images
    trained_on: bool
    identities: int
    queries: int
    gallery: int
    captions: int  # of the gallery's images, by which they are sought as well; 0: of no interest to this model
    drawn: bool  # some identities of more
    cameras_apart: bool  # images of the query's own camera are left out
    chance: Retrieved
    colour: Retrieved  # histograms of colours in stripes
    before: Retrieved | None  # by the model's features, before training
    after: Retrieved | None


class Timing(Entry):
    startup_s: float | None
    train_s: float | None
    images_per_s: float | None
    data_wait_share: float | None
    startup: dict[str, float] = {}  # seconds of each phase before the first step
    one_cuda_graph: bool | None = None  # each step; None: not on a GPU, or not known
    why_kernel_by_kernel: str = ""


class Report(Entry):
    schema_version: int
    name: str
    command: str
    way_in: str
    config: str = ""  # path of the YAML, as it was given
    started: str = ""
    verdict: VerdictWord
    reason: str
    ended: Literal["finished", "stopped", "interrupted", "crashed", "killed"]
    crash: Crash | None = None
    rule: Rule
    ce: Ce
    steps_per_epoch: int | None
    global_step: int
    epoch: int | None = None
    step_in_epoch: int | None = None
    findings: tuple[FindingEntry, ...]  # the first cause first
    ignored: tuple[IgnoredEntry, ...] = ()
    baseline: Baseline | None = None  # null: none was given
    checks: Checks
    trials: tuple[TrialEntry, ...] = ()
    proof: ProofEntry | None = None
    retrieval: Retrieval | None = None  # null: not asked for
    handover: Handover | None = None  # null: not asked for, or no GO
    notes: tuple[str, ...] = ()  # what makes the report less than whole, and what else is worth a sentence
    environment: dict[str, str]
    timing: Timing
    ranks: tuple[RankEntry, ...] = ()  # of a training on several; the other figures are the first one's

    @property
    def primary(self) -> FindingEntry | None:
        return next((finding for finding in self.findings if finding.primary), None)
