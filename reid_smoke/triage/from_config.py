"""`reid-smoke triage`: the training as configured until its failure shows, then the trials.

The facts of the baseline are those of a `run`, so that its verdict and its findings are, too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from reid_smoke.build.data.training_set import open_training_set
from reid_smoke.checks.catalogue import rank
from reid_smoke.config.dump import dump_config
from reid_smoke.errors import UsageError
from reid_smoke.facts import DatasetFacts, GraphFacts, OutOfMemoryFacts, RunFacts, TriageFacts, UnreadableFacts
from reid_smoke.folder import make_run_folder
from reid_smoke.ledger import Ledger
from reid_smoke.plan import Plan, run_facts
from reid_smoke.report.live import LiveDisplay
from reid_smoke.rule import LEAST_STEPS, read_curve
from reid_smoke.smoke import Outcome, sigterm_as_interrupt
from reid_smoke.train.ranks import find_place
from reid_smoke.triage import trying
from reid_smoke.until_certain import How, train_until_certain
from reid_smoke.verdict import judge

if TYPE_CHECKING:
    from reid_smoke.triage.config_subject import ConfigSubject

BASELINE_SHARE = 0.4  # of the time, at most
BASELINE_STEPS = 120  # a warm-up of 50 iterations must have ended by then


@dataclass(frozen=True)
class _Pace:
    """What a step costs here, in seconds. None: not one could be made."""

    step_s: float | None
    affordable: int  # steps within what is left of the budget


def triage(
    plan: Plan,
    out: Path | None,
    display: LiveDisplay,
    progress: trying.Progress,
    *,
    budget_s: float,
    deadline: float,
    started: float,
) -> Outcome:
    """Train as configured until the failure shows, then try what mends it; the outcome is that of the baseline.

    budget_s: for all of it. deadline: when it is out, of `time.perf_counter()`. started: when the process was.

    Raises UsageError (and its kin) for bad input, and for a budget that holds no trial, before anything is written.
    """
    if not find_place().is_alone:
        raise UsageError("triage tries one thing after another in one process: start it without torchrun")
    with sigterm_as_interrupt():
        from reid_smoke.build.data.loader import build_loader
        from reid_smoke.build.training import build_training, resolve_device
        from reid_smoke.triage.config_subject import Builder, ConfigSubject

        config = plan.config
        device = resolve_device(config.device)
        training_set = open_training_set(config.data)
        unreadable: list[UnreadableFacts] = []
        loader = build_loader(
            training_set, config.data, seed=config.seed, on_unreadable=unreadable.append, device=device
        )
        training = build_training(config, training_set, loader, device)
        build = Builder(config, training_set, device)
        pace = _measure(ConfigSubject(config, build, device), budget_s, deadline)

        window, most = _baseline(config.rule.window, config.train.steps, pace)
        folder = make_run_folder(out, config.name, dump_config(config))
        ledger = Ledger(folder / "facts.jsonl")
        ledger.subscribe(display)
        ledger.add(run_facts(plan, training, window, most))
        for fact in (*training.facts, *unreadable):
            ledger.add(fact)
        unreadable.clear()
        how = train_until_certain(training, ledger, display, unreadable, most, started)
        del training, loader  # their memory is the trials' now
        judgement = judge(ledger, ended=True)
        if ledger.last(OutOfMemoryFacts) is not None:
            why = "the batch does not fit into memory. `reid-smoke run` finds out which one does"
            spent = budget_s - (deadline - time.perf_counter())
            ledger.add(TriageFacts(budget_s=budget_s, seconds=spent, ended="impossible", why_not=why))
        elif _is_worth_trying(ledger, how, judgement.verdict.word):
            stream = tuple(step.ce for step in ledger.steps)
            curve = read_curve(
                ledger.first(RunFacts), ledger.first(DatasetFacts), ledger.last(GraphFacts), ledger.steps
            )
            codes = [result.check.code for result in rank(judgement.results)]
            trying.Triage(
                ConfigSubject(config, build, device, stream),
                ledger,
                codes,
                progress,
                budget_s=budget_s,
                deadline=deadline,
                seconds_per_step=pace.step_s,
                ce_word=curve.word,
            ).run()
        else:
            ended: trying.Ended = "interrupted" if how == "interrupted" else "not needed"
            ledger.add(TriageFacts(budget_s=budget_s, seconds=budget_s - (deadline - time.perf_counter()), ended=ended))
        ledger.close()
    return Outcome(judgement, ledger, folder, how, judgement.exit_code)


def _is_worth_trying(ledger: Ledger, how: How, word: str) -> bool:
    """What was not seen to fail has nothing to be mended; but a crash is a failure."""
    return how != "interrupted" and (word == "NO-GO" or how == "crashed")


def _baseline(window: tuple[int, int], steps: int | None, pace: _Pace) -> tuple[tuple[int, int], int]:
    """The window of a baseline as short as shows the failure, and the step up to which it may go on where CE falls."""
    last = max(LEAST_STEPS, min(window[1], BASELINE_STEPS, int(BASELINE_SHARE * pace.affordable)))
    most = max(last, min(steps or pace.affordable, int(1.5 * BASELINE_SHARE * pace.affordable)))
    return (window if window[1] <= last else (2 * last // 3, last)), most


def _measure(subject: ConfigSubject, budget_s: float, deadline: float) -> _Pace:
    """Make three steps, the first of which is not counted: it starts more than itself.

    Raises UsageError where the budget holds no more than the start.
    """
    told: list[float] = []
    subject.play(subject.plan, trying.Look("few", 1, 3), lambda step, ce: told.append(time.perf_counter()))
    left = deadline - time.perf_counter()
    if len(told) < 3:  # it crashed, and the baseline will tell how
        return _Pace(None, 4 * BASELINE_STEPS)
    step_s = (told[-1] - told[0]) / 2
    least = LEAST_STEPS + 2 * trying.LEAST_STEPS  # the baseline, the training as it is, one trial
    if left < least * step_s:
        needed = ceil(budget_s - left + 1.2 * least * step_s)
        raise UsageError(
            f"--budget {budget_s:g} is too small for one trial: a step takes {step_s:.2g} s here, and the baseline and "
            f"one trial are {least} of them. Give --budget {needed} or more, or smaller images and batches."
        )
    return _Pace(step_s, int(left / max(step_s, 1e-4)))
