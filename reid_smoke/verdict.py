"""Curve + findings -> GO, NO-GO or UNKNOWN, with the one sentence that says why; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Literal

from reid_smoke.baseline import mark_known
from reid_smoke.checks.catalogue import CheckResult, rank, run_checks
from reid_smoke.facts import (
    BaselineFacts,
    CrashFacts,
    DatasetFacts,
    EndFacts,
    GraphFacts,
    HandoverEndFacts,
    HandoverFacts,
    LoopFacts,
    OutOfMemoryFacts,
    RankEndFacts,
    RunFacts,
    UnreadableFacts,
)
from reid_smoke.ledger import Ledger
from reid_smoke.own_function import own_function
from reid_smoke.rule import LEAST_STEPS, CeFigures, Curve, RuleFigures, crossing_step, read_curve

VerdictWord = Literal["GO", "NO-GO", "UNKNOWN"]

MOST_UNREADABLE = 0.01  # share of images that may be unreadable before nothing can be said of the training

EXIT_CODES: dict[VerdictWord, int] = {"GO": 0, "NO-GO": 1, "UNKNOWN": 3}


@dataclass(frozen=True)
class Verdict:
    word: VerdictWord
    reason: str  # one sentence
    certain: bool  # more steps would not change it
    rule: RuleFigures
    ce: CeFigures
    excused: bool = False  # NO-GO by faults that are all known, while CE passes: the exit code is that of GO


@dataclass(frozen=True)
class Judgement:
    """A verdict and what every check had to say."""

    verdict: Verdict
    results: list[CheckResult]
    crashed_later: bool = False  # in the hand-over, which was asked for beside the verdict

    @property
    def exit_code(self) -> int:
        if self.verdict.excused:
            return EXIT_CODES["GO"]
        return EXIT_CODES["UNKNOWN" if self.crashed_later and self.verdict.word == "GO" else self.verdict.word]


def judge(ledger: Ledger, *, ended: bool) -> Judgement:
    """Judge what has been seen so far.

    ended: no more facts will come. Before that, a verdict that is not certain may still change.
    """
    curve = read_curve(ledger.first(RunFacts), ledger.first(DatasetFacts), ledger.last(GraphFacts), ledger.steps)
    results = mark_known(run_checks(ledger, curve), ledger.last(BaselineFacts))
    word, reason, certain = _decide(ledger, curve, results)
    excused = word == "NO-GO" and _decide(ledger, curve, [r for r in results if not r.known])[0] == "GO"
    end = ledger.last(HandoverEndFacts)
    crashed_later = end is not None and end.how == "crashed"
    return Judgement(Verdict(word, reason, certain or ended, curve.rule, curve.ce, excused), results, crashed_later)


def _decide(ledger: Ledger, curve: Curve, results: list[CheckResult]) -> tuple[VerdictWord, str, bool]:
    closed = curve.word != "short"
    faults = [r for r in rank(results) if r.severity != "warn"]
    if any(r.severity == "fatal" for r in faults):
        return "NO-GO", _because(faults[0], curve), True
    unreadable = _unreadable_share(ledger)
    if unreadable > MOST_UNREADABLE:
        what = f"{unreadable:.1%} of the images could not be read: mend the data first, then judge the training."
        return "UNKNOWN", what, closed
    if closed and faults:
        return "NO-GO", _because(faults[0], curve), True
    if not closed:
        return "UNKNOWN", _why_not_closed(ledger, curve), False
    if curve.word != "passes":
        return "NO-GO", _curve_in_words(curve), True
    broken = [r.check.code for r in results if r.status == "error" and r.check.severity != "warn" and not r.reason]
    if broken:
        return "UNKNOWN", f"CE passes, but {', '.join(broken)} crashed, and a fault may hide behind that.", True
    return "GO", _curve_in_words(curve), True


def _curve_in_words(curve: Curve) -> str:
    rule, ce = curve.rule, curve.ce
    mean, bar, chance = ce.window_mean or 0.0, rule.max_ce or 0.0, rule.chance_ce or 0.0
    place = f"over steps {rule.window[0]} to {rule.window[1]}"
    if curve.word == "passes":
        # A training that was resumed begins where it had come to.
        since = "from the first step on" if ce.first is not None and ce.first <= bar else "and falling"
        return (
            f"CE is {mean:.2f} {place}, under the bar of {bar:.2f} {since}: "
            f"{max(1, round(exp(mean)))} of {rule.num_classes} identities are still in play."
        )
    if curve.word == "broken":
        return f"CE is not a finite number {place}."
    if curve.word == "slow":
        step = crossing_step(curve)
        when = f" At this pace it would cross at step {step}." if step is not None else ""
        return f"CE falls, but too slowly: {mean:.2f} {place}, over the bar of {bar:.2f}.{when}"
    verb = "has climbed" if curve.word == "rises" else "does not fall"
    return f"CE is {mean:.2f} {place} and {verb}; chance is log {rule.num_classes} = {chance:.2f}."


def _because(cause: CheckResult, curve: Curve) -> str:
    """The first cause, with CE behind it where there is one."""
    ce = curve.ce.window_mean if curve.ce.window_mean is not None else curve.ce.last
    if ce is None or curve.rule.chance_ce is None:
        return f"{cause.check.title}."
    return f"{cause.check.title}. CE is {ce:.2f}; chance is log {curve.rule.num_classes} = {curve.rule.chance_ce:.2f}."


def _unreadable_share(ledger: Ledger) -> float:
    """Share of the images tried that could not be read."""
    dataset = ledger.first(DatasetFacts)
    bad = len({fact.path for fact in ledger.all(UnreadableFacts)}) + (dataset.unreadable if dataset else 0)
    tried = sum(s.batch for s in ledger.steps) + sum(fact.images for fact in ledger.all(HandoverFacts))
    if dataset is not None:
        tried = min(tried, dataset.images)
    return bad / max(tried, bad) if bad else 0.0


def _why_not_closed(ledger: Ledger, curve: Curve) -> str:
    done = ledger.done
    if done and curve.rule.chance_ce is None:
        return "No classification over at least two identities was seen, so there is no chance to compare with."
    wanted = f"{done} of the {max(curve.rule.window[1], LEAST_STEPS)} steps that a verdict needs were seen"
    crash, end = ledger.last(CrashFacts), ledger.last(EndFacts)
    killed = [fact for fact in ledger.all(RankEndFacts) if fact.how == "killed"]
    if killed and (crash is None or crash.rank == 0):
        who = ", ".join(str(fact.rank) for fact in killed)
        return f"Rank{'s'[: len(killed) > 1]} {who} died after step {min(f.step for f in killed)}: {wanted}."
    ran_out = ledger.last(OutOfMemoryFacts)
    if crash is not None and ran_out is not None and not ran_out.then:
        where = f" on rank {ran_out.rank}" if ran_out.rank else ""
        batch = f" with {ran_out.batch} images a batch" if ran_out.batch else ""
        return f"Memory ran out{where} at step {ran_out.step + 1}{batch}: {wanted}."
    if crash is not None:
        where = f" on rank {crash.rank}" if crash.rank else ""
        return f"The training crashed with {crash.exception}{where} at step {crash.step + 1}: {wanted}."
    if end is not None and end.how == "interrupted":
        return f"Interrupted: {wanted}."
    if not done:
        return _nothing_classified(ledger)
    run = ledger.first(RunFacts)
    if end is not None and end.how == "finished" and run is not None and run.way_in == "watch":
        return f"The training ended by itself: {wanted}."
    return f"{wanted}."


def _nothing_classified(ledger: Ledger) -> str:
    """What was seen instead, and what would help."""
    loop, none = ledger.last(LoopFacts), "No training step with a classification loss was seen"
    if loop is not None and loop.losses_left_out and not (loop.other_backwards or loop.leaf_backwards):
        stepped = f", though optimizers stepped {loop.optimizer_steps} times" if loop.optimizer_steps else ""
        return f"{none}: {loop.losses_left_out} cross-entropies were computed, and backward was never called{stepped}."
    if loop is None or not loop.other_backwards:
        return f"{none}."
    words = f" on what ends in {', '.join(loop.unclassified[:2])}" if loop.unclassified else ""
    seen = f"{none}: backward ran {loop.other_backwards} times{words}, with {loop.optimizer_steps} optimizer steps."
    own = own_function(loop.unclassified)
    if own is not None:
        return (
            f"{seen} What {own} computes cannot be seen, for it is an autograd.Function: if it is a cross-entropy, put "
            "F.cross_entropy(logits, labels) in its place while the training is watched."
        )
    if any(words.startswith("NllLoss < LogSoftmax") and "Cat" in words for words in loop.unclassified):
        return (
            f"{seen} It compares each image with its other view and with others, as MoCo does (InfoNCE): its labels, "
            "all 0, say where the other view stands, and not who is in the image: that is no loss over identities."
        )
    return (
        f"{seen} What is judged is a loss of logits (B, C) over the identities and their labels, as F.cross_entropy "
        "is: see that backward reaches one."
    )
