"""`watch --triage`: after a NO-GO the trials on what was kept, in the process that trained."""

from __future__ import annotations

import sys
import time
from math import isfinite
from statistics import median

from reid_smoke.facts import TriageFacts
from reid_smoke.ledger import Ledger
from reid_smoke.report.trial_progress import TrialProgress
from reid_smoke.triage.replay_keeper import Keeper
from reid_smoke.triage.replay_kept import CannotReplay
from reid_smoke.triage.replay_subject import ReplaySubject
from reid_smoke.triage.trying import Triage

BUDGET_S = 120.0


def triage(keeper: Keeper, ledger: Ledger, codes: list[str]) -> None:
    """Try on what was kept where the fault lies, and add what came of it to the ledger; a reason where nothing could.

    codes: of the findings, first cause first.
    """
    try:
        subject = ReplaySubject(keeper.kept(), _lr_factor(ledger))
    except CannotReplay as reason:
        ledger.add(TriageFacts(budget_s=BUDGET_S, seconds=0.0, ended="impossible", replayed=True, why_not=str(reason)))
        return
    deadline = time.perf_counter() + BUDGET_S
    progress = TrialProgress(sys.stderr, deadline)
    Triage(subject, ledger, codes, progress, budget_s=BUDGET_S, deadline=deadline, seconds_per_step=None).run()


def _lr_factor(ledger: Ledger) -> float:
    """The head's lr over the training, in that of its first step."""
    applied = [step.lr_head for step in ledger.steps if step.lr_head is not None and isfinite(step.lr_head)]
    return median(applied) / applied[0] if applied and applied[0] > 0 else 1.0
