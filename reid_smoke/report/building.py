"""From a run's facts, what the checks had to say and the verdict to the document of it; no torch."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, isfinite
from typing import Any

from reid_smoke.checks.catalogue import CheckResult, Finding, Status, consequences, rank
from reid_smoke.facts import (
    SCHEMA_VERSION,
    BaselineFacts,
    CrashFacts,
    EndFacts,
    ExecutionFacts,
    RetrievalFacts,
    RunFacts,
    StartupFacts,
    TriageFacts,
    TrialFacts,
)
from reid_smoke.ledger import Ledger
from reid_smoke.report.document import (
    Baseline,
    Ce,
    CheckEntry,
    Checks,
    Crash,
    FindingEntry,
    IgnoredEntry,
    ProofEntry,
    Report,
    Retrieval,
    Rule,
    Timing,
    TrialEntry,
)
from reid_smoke.report.handover import handover_entry
from reid_smoke.report.notes import notes_on
from reid_smoke.report.ranks import rank_entries
from reid_smoke.rule import CeFigures, RuleFigures
from reid_smoke.triage.proof import Proof, prove
from reid_smoke.verdict import Verdict


def build_report(ledger: Ledger, results: Sequence[CheckResult], verdict: Verdict) -> Report:
    """The document of a run from its facts, what the checks had to say, and the verdict."""
    run, last_step = ledger.first(RunFacts), ledger.last_step
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
        notes=notes_on(ledger),
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
