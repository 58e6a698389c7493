"""The report as a document: everything a reader is told of one run, in the shape of report.json; no torch.

Whatever is rendered later (terminal, HTML, JUnit, GitHub) is rendered from this, so that `report RUN_DIR` can do it
again from a past run. Keys are only ever added.

JSON has no word for not-a-number and infinity. A figure that was not finite, or was not measured, is null here: whoever
reads the document gets a number or nothing, never a string among numbers. `ce.not_finite_at` names the first step at
which CE was no finite number, and facts.jsonl keeps the values themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, isfinite
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from reid_smoke.checks.catalogue import CheckResult, Finding, Severity, Status, consequences, rank
from reid_smoke.facts import (
    SCHEMA_VERSION,
    BaselineFacts,
    CrashFacts,
    DatasetFacts,
    EndFacts,
    ExecutionFacts,
    GraphFacts,
    OutOfMemoryFacts,
    ProbeFault,
    RetrievalFacts,
    RunFacts,
    StartupFacts,
    TriageFacts,
    TrialFacts,
)
from reid_smoke.ledger import Ledger
from reid_smoke.report.handover import Handover, handover_entry
from reid_smoke.report.ranks import RankEntry, rank_entries
from reid_smoke.rule import CeFigures, RuleFigures
from reid_smoke.triage.proof import Proof, prove
from reid_smoke.verdict import Verdict, VerdictWord


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


def build_report(ledger: Ledger, results: Sequence[CheckResult], verdict: Verdict) -> Report:
    """The document of a run from its facts, what the checks had to say, and the verdict."""
    run, last_step = ledger.first(RunFacts), ledger.steps[-1] if ledger.steps else None
    end, crash = ledger.last(EndFacts), ledger.last(CrashFacts)
    proof = prove(ledger.all(TrialFacts), ledger.last(TriageFacts))
    return Report(
        schema_version=SCHEMA_VERSION,
        name=run.name if run else "",
        command=run.command if run else "",
        way_in=run.way_in if run else "",
        config=run.config if run else "",
        started=run.started if run else "",
        verdict=verdict.word,
        reason=verdict.reason,
        ended=end.how if end else "crashed" if crash else "killed",
        crash=Crash(**crash.model_dump(include=set(Crash.model_fields))) if crash else None,
        rule=_rule(verdict.rule, verdict.ce),
        ce=_ce(verdict.ce),
        steps_per_epoch=run.steps_per_epoch if run else None,
        global_step=last_step.step if last_step else 0,
        epoch=last_step.epoch if last_step else None,
        step_in_epoch=last_step.step_in_epoch if last_step else None,
        findings=_findings(results),
        ignored=_ignored(results),
        baseline=_baseline(ledger, results, verdict),
        checks=_checks(results),
        trials=_trials(proof),
        proof=_proof(proof),
        retrieval=_retrieval(ledger),
        handover=handover_entry(ledger),
        notes=_notes(ledger),
        environment=dict(run.environment) if run else {},
        timing=_timing(ledger),
        ranks=rank_entries(ledger),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _rule(rule: RuleFigures, ce: CeFigures) -> Rule:
    judged = ce.last if ce.window_mean is None else ce.window_mean
    in_play = None
    if rule.num_classes and judged is not None and isfinite(judged):
        # Worse than chance rules nobody out; and one identity, the right one, is always left.
        in_play = rule.num_classes if judged >= (rule.chance_ce or 0.0) else max(1, round(exp(judged)))
    return Rule(
        num_classes=rule.num_classes,
        chance_ce=rule.chance_ce,
        max_ce=rule.max_ce,
        window=rule.window,
        moved_from=rule.moved_from,
        looks=_finite(rule.looks),
        identities_in_play=in_play,
    )


def _ce(ce: CeFigures) -> Ce:
    return Ce(
        first=_finite(ce.first),
        window_mean=_finite(ce.window_mean),
        last=_finite(ce.last),
        trend_per_100_steps=_finite(ce.trend_per_100_steps),
        # Five decimals are finer than any CE repeats, and a third of the file.
        curve=tuple((step, round(value, 5) if isfinite(value) else None) for step, value in ce.curve),
        not_finite_at=next((step for step, value in ce.curve if not isfinite(value)), None),
    )


def _findings(results: Sequence[CheckResult]) -> tuple[FindingEntry, ...]:
    ranked, explained = rank(results), consequences(results)
    return tuple(
        FindingEntry(
            **_said(result),
            primary=place == 0 and result.severity != "warn",
            because_of=explained.get(result.check.code),
        )
        for place, result in enumerate(ranked)
    )


def _ignored(results: Sequence[CheckResult]) -> tuple[IgnoredEntry, ...]:
    return tuple(IgnoredEntry(**_said(r), primary=False, reason=r.reason) for r in results if r.status == "ignored")


def _said(result: CheckResult) -> dict[str, Any]:
    """What a finding says by itself."""
    found = result.finding or Finding("")
    return {
        "code": result.check.code,
        "slug": result.check.slug,
        "title": result.check.title,
        "severity": result.severity,
        "step": found.step,
        "evidence": found.evidence,
        "mend": found.mend or result.check.section("Mend"),
        "known": result.known,
    }


def _baseline(ledger: Ledger, results: Sequence[CheckResult], verdict: Verdict) -> Baseline | None:
    former = ledger.last(BaselineFacts)
    if former is None:
        return None
    fired = [result for result in results if result.counts]
    return Baseline(
        file=former.file,
        known=tuple(r.check.code for r in fired if r.known),
        new=tuple(r.check.code for r in fired if not r.known),
        gone=tuple(sorted(former.findings.keys() - {r.check.code for r in fired})),
        excused=verdict.excused,
    )


def _checks(results: Sequence[CheckResult]) -> Checks:
    def count(status: Status) -> int:
        return sum(result.status == status for result in results)

    return Checks(
        passed=count("pass"),
        warned=count("warn"),
        failed=count("fail"),
        skipped=count("skipped"),
        errored=count("error"),
        ignored=count("ignored"),
        results=tuple(
            CheckEntry(code=r.check.code, slug=r.check.slug, status=r.status, error=r.error) for r in results
        ),
    )


def _trials(proof: Proof | None) -> tuple[TrialEntry, ...]:
    return tuple(
        TrialEntry(
            **o.trial.model_dump(include=set(TrialEntry.model_fields)),
            steps=len(o.trial.ce),
            ce_first=_finite(o.ce_first),
            ce_last=_finite(o.ce_last),
            learned=o.learned,
        )
        for o in (proof.outcomes if proof else ())
    )


def _proof(proof: Proof | None) -> ProofEntry | None:
    if proof is None:
        return None
    trial = proof.flipped.trial if proof.flipped else None
    return ProofEntry(
        trial=trial.name if trial else None,
        settings=trial.settings if trial else (),
        conclusion=" ".join(proof.sentences),
    )


def _retrieval(ledger: Ledger) -> Retrieval | None:
    measured = ledger.last(RetrievalFacts)
    return None if measured is None else Retrieval(**measured.model_dump(exclude={"kind"}))


def _notes(ledger: Ledger) -> tuple[str, ...]:
    notes = []
    if ledger.write_error:
        notes.append(f"The facts could not all be written ({ledger.write_error}): make room before the next run.")
    notes += _unread(ledger)
    ran_out = ledger.all(OutOfMemoryFacts)
    if ran_out and ran_out[-1].then:
        notes.append(
            f"{ran_out[0].batch} images a batch do not fit into memory: what is judged is the training with "
            f"{', '.join(ran_out[-1].then)} (RS801)."
        )
    data = ledger.first(DatasetFacts)
    if data is not None and data.instances and data.instances > 1 and data.identities_of_one_image:
        notes.append(
            f"{data.identities_of_one_image:,} of {data.identities:,} identities have one image. PK sampling draws "
            f"{data.instances} of each, and takes that one {data.instances} times: a pair of it teaches nothing."
        )
    graph = ledger.last(GraphFacts)
    if graph is not None and graph.sharded:
        notes.append(
            "The weights are divided among the ranks (FSDP). CE, data and graph are judged; what concerns single "
            "weights, their gradients and the optimizer is not."
        )
    faults: dict[str, ProbeFault] = {}
    for fault in ledger.all(ProbeFault):
        faults.setdefault(fault.probe, fault)
    notes += [
        f"The probe {f.probe} failed at step {f.step} ({f.message}): what it measures is missing."
        for f in faults.values()
    ]
    return tuple(notes)


def _unread(ledger: Ledger) -> list[str]:
    """What of a past run's facts could not be read, and what that means for the report."""
    run = ledger.first(RunFacts)
    newer = written_by_newer(run.schema_version, run.environment) if run else None
    notes = [newer] if newer else []
    if ledger.unread_lines:
        s, were = ("", "was") if ledger.unread_lines == 1 else ("s", "were")
        kinds = ", ".join(sorted(ledger.unknown_kinds)[:5])
        why = f" This version knows no facts of kind {kinds}: a newer one wrote them." if kinds and not newer else ""
        notes.append(f"{ledger.unread_lines} line{s} of facts.jsonl could not be read and {were} left out.{why}")
        if run is None:
            notes.append(
                "The run's own plan is among what could not be read: it is judged by the usual window and bar, "
                "whatever its config said."
            )
    return notes


def written_by_newer(schema_version: int, environment: Mapping[str, str]) -> str | None:
    """A sentence where a later version wrote the run, of which this one knows only a part."""
    if schema_version <= SCHEMA_VERSION:
        return None
    by = f"reid-smoke {environment['reid-smoke']}" if "reid-smoke" in environment else "a newer reid-smoke"
    return f"This run was written by {by}, and here is what this version knows of it: upgrade to see the rest."


def _timing(ledger: Ledger) -> Timing:
    """As the end recorded it, or from the steps' own clocks where a kill came before the end."""
    end, steps = ledger.last(EndFacts), ledger.steps
    if end is not None:
        ranks = run.ranks if (run := ledger.first(RunFacts)) else 1
        figures = (end.startup_s, end.train_s, end.images_per_s * ranks, end.data_wait_share)
        named = dict(
            zip(("startup_s", "train_s", "images_per_s", "data_wait_share"), map(_finite, figures), strict=True)
        )
        startup, execution = ledger.last(StartupFacts), ledger.last(ExecutionFacts)
        return Timing(
            **named,
            startup=startup.phases if startup else {},
            one_cuda_graph=execution.captured if execution else None,
            why_kernel_by_kernel=execution.reason if execution else "",
        )
    train_s = sum(s.data_s + s.compute_s for s in steps)
    if not train_s > 0 or not isfinite(train_s):
        return Timing(startup_s=None, train_s=None, images_per_s=None, data_wait_share=None)
    return Timing(
        startup_s=None,
        train_s=train_s,
        images_per_s=sum(s.batch for s in steps) / train_s,
        data_wait_share=sum(s.data_s for s in steps) / train_s,
    )
