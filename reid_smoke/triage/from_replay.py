"""`watch --triage`: after a NO-GO the trials on what was kept, in the process that trained."""

from __future__ import annotations

import sys
import time
from math import isfinite
from statistics import median
from typing import TextIO

from reid_smoke.facts import CrashFacts, DatasetFacts, GraphFacts, RunFacts, TriageFacts
from reid_smoke.ledger import Ledger
from reid_smoke.probes.groups import as_float, group_of
from reid_smoke.report.trial_progress import TrialProgress
from reid_smoke.rule import CurveWord, read_curve
from reid_smoke.triage.replay_keeper import Keeper
from reid_smoke.triage.replay_kept import CannotReplay, Kept
from reid_smoke.triage.replay_subject import ReplaySubject
from reid_smoke.triage.trying import LEAST_STEPS, Look, Triage

BUDGET_S = 120.0
LEAST = 2 * LEAST_STEPS  # steps: the training as it is, and one trial


def triage(keeper: Keeper, ledger: Ledger, codes: list[str], file: TextIO | None = None) -> None:
    """Try on what was kept where the fault lies, and add what came of it to the ledger; a reason where nothing could.

    codes: of the findings, first cause first. file: where the progress is shown; None: on stderr.
    """
    deadline = time.perf_counter() + BUDGET_S
    curve = read_curve(ledger.first(RunFacts), ledger.first(DatasetFacts), ledger.last(GraphFacts), ledger.steps).word
    try:
        _refuse_what_no_replay_shows(ledger, curve)
        kept = keeper.kept()
        if kept.never_backward and curve == "short":
            curve = "flat"  # what no gradient reached has not learnt, though no step was there to be seen
        if kept.batches[0].num_classes < 2:
            raise CannotReplay("the head has one output, over which CE is 0 whatever is changed beside it")
        subject = ReplaySubject(kept, _lr_factor(ledger, kept))
        step_s = _measure(subject)
    except CannotReplay as reason:
        seconds = BUDGET_S - (deadline - time.perf_counter())
        ledger.add(
            TriageFacts(
                budget_s=BUDGET_S,
                seconds=seconds,
                ended="not needed" if curve == "passes" else "impossible",
                replayed=True,
                why_not=str(reason),
                ce_word=curve,
            )
        )
        return
    Triage(
        subject,
        ledger,
        codes,
        TrialProgress(file or sys.stderr, deadline),
        budget_s=BUDGET_S,
        deadline=deadline,
        seconds_per_step=step_s,
        ce_word=curve,
    ).run()


def _refuse_what_no_replay_shows(ledger: Ledger, curve: CurveWord) -> None:
    """Raises CannotReplay where CE did not fail, or where that cannot be known."""
    if curve == "passes":
        raise CannotReplay(
            "CE fell in the training itself. What was found is a fault that CE does not show in so few steps, and no "
            "re-run can prove a mend by it"
        )
    crash = ledger.last(CrashFacts)
    if crash is not None and curve == "short":
        raise CannotReplay(
            f"{crash.exception} ended the training at step {crash.step + 1}. What was kept came before that and holds "
            "no such step"
        )


def _measure(subject: ReplaySubject) -> float | None:
    """Seconds a step, of three, the first of which is not counted. None: it crashes, and the trials will tell how.

    Raises CannotReplay where the budget holds no trial.
    """
    told: list[float] = []
    subject.play(subject.plan, Look("few", 1, 3), lambda step, ce: told.append(time.perf_counter()))
    if len(told) < 3:
        return None
    step_s = (told[-1] - told[0]) / 2
    if LEAST * step_s > BUDGET_S:
        raise CannotReplay(
            f"a step takes {step_s:.2g} s here, and the training as it is and one trial are {LEAST} of them: more than "
            f"the {BUDGET_S:.0f} s that the trials may take. Watch it with smaller images and batches, or on a GPU"
        )
    return step_s


def _lr_factor(ledger: Ledger, kept: Kept) -> float:
    """The head's lr over the training, in that which its group was kept with, before the first step."""
    applied = [step.lr_head for step in ledger.steps if step.lr_head is not None and isfinite(step.lr_head)]
    groups = [group_of(optimizer, kept.parts.head) for optimizer in kept.parts.optimizers]
    at_first = next((as_float(group.get("lr")) for group in groups if group is not None), None)
    return median(applied) / at_first if applied and at_first else 1.0
