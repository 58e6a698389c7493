"""One case of the triage bench: a training with a fault, seen to fail on CE, and what the trials find that mends it."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
import traceback
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from fault_bench.faults import all_faults
from fault_bench.faults.register import Fault
from fault_bench.parts import open_parts
from fault_bench.run import begin
from fault_bench.setups import Setup, as_planned, setups
from reid_smoke.checks.catalogue import rank
from reid_smoke.config.schema import Config
from reid_smoke.facts import DatasetFacts, GraphFacts, RunFacts, TriageFacts, TrialFacts
from reid_smoke.ledger import Ledger
from reid_smoke.probes.crash import read_crash
from reid_smoke.probes.observer import Observer
from reid_smoke.rule import Curve, read_curve
from reid_smoke.triage import from_replay
from reid_smoke.triage.changes import CHANGES
from reid_smoke.triage.proof import Proof, prove
from reid_smoke.triage.replay_keeper import Keeper
from reid_smoke.verdict import judge
from reid_smoke.watch.hooks import observing

Way = Literal["config", "replay"]

PLAIN_LOOP = "plain-loop"  # the replay as it is: their model and optimizer without their loop and their loss
REPLAYS = (
    PLAIN_LOOP, "optimizer-rebuilt", "constant-lr", "recipe-lr", "usual-decay", "all-unfrozen", "training-mode",
    "no-dropout", "fresh-head", "reference-optimizer", "reference-model", "embedded-data",
)  # fmt: skip
KNOWN: dict[Way, frozenset[str]] = {"config": frozenset(t.slug for t in CHANGES), "replay": frozenset(REPLAYS)}
BUDGET_S = 120.0


@dataclass(frozen=True)
class TriageKey:
    """A case by name, as it travels between processes."""

    case: str
    setup: str
    seed: int
    omniglot: Path | None
    way: Way


@dataclass(frozen=True)
class TriageOutcome:
    """What came of a case, ready for JSON."""

    case: str
    title: str
    setup: str
    seed: int
    way: str
    can_mend: tuple[str, ...]  # slugs of changes that this way knows of and that take the fault away
    ce: str  # what CE did over the window: passes, slow, flat, rises, broken, short; or crashed
    ended: str  # the trials
    found: tuple[str, ...]  # slugs of the change that was named as the mend
    lies_in: tuple[str, ...]
    # What was changed, CE at its begin and end, whether it learned, where unseen images' identities ranked.
    trials: tuple[tuple[str, float | None, float | None, bool, float | None], ...]
    said: str
    error: str  # of the bench
    seconds: float  # of the trials alone, without the training before them

    @property
    def counts(self) -> bool:
        """CE failed, and some change could mend it."""
        return self.ce != "passes" and bool(self.can_mend) and not self.error

    @property
    def right(self) -> bool:
        return bool(self.found) and set(self.found) <= set(self.can_mend)

    @property
    def wrong(self) -> bool:
        """A change was named as the mend that is none."""
        return bool(self.found) and not self.right

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "counts": self.counts, "right": self.right, "wrong": self.wrong}


def triage_keys(
    omniglot: Path | None, seeds: int, names: list[str], only: list[str], ways: tuple[Way, ...]
) -> list[TriageKey]:
    """The cases that are asked for, seed by seed. A config holds the mistakes, and the set-ups, that a plan says all
    of.

    Raises ValueError where the register has a change that no trial makes.
    """
    unknown = {slug for fault in all_faults() for slug in fault.mended_by} - frozenset().union(*KNOWN.values())
    if unknown:
        raise ValueError(f"no trial makes these changes: {', '.join(sorted(unknown))}")
    return [
        TriageKey(fault.name, setup.name, seed, omniglot, way)
        for seed in range(seeds)
        for setup in setups(omniglot)
        if not names or setup.name in names
        for fault in all_faults()
        if setup.name not in fault.not_on
        if not only or any(word in name for word in only for name in (fault.name, *fault.wanted))
        for way in ways
        if way == "replay" or (fault.stage == "plan" and setup.shape_model is as_planned)
    ]


def run_triage_key(key: TriageKey) -> dict[str, Any]:
    """Run one case. Never raises: what goes wrong is in the outcome."""
    import torch

    torch.set_num_threads(1)
    fault = next(f for f in all_faults() if f.name == key.case)
    setup = next(s for s in setups(key.omniglot) if s.name == key.setup)
    can_mend = tuple(slug for slug in fault.mended_by if slug in KNOWN[key.way])
    empty = TriageOutcome(
        fault.name, fault.title, key.setup, key.seed, key.way, can_mend, "", "", (), (), (), "", "", 0.0
    )  # fmt: skip
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            with tempfile.TemporaryDirectory() as folder:
                run = _of_config if key.way == "config" else _of_replay
                outcome = run(empty, fault, setup, Path(folder))
    except Exception as error:
        what = f"{type(error).__name__}: {error} at {traceback.extract_tb(error.__traceback__)[-1]}"
        outcome = replace(empty, error=what)
    return outcome.to_json()


def _of_replay(empty: TriageOutcome, fault: Fault, setup: Setup, folder: Path) -> TriageOutcome:
    """As `watch --triage` does it: the training goes on to its window's end, then what was kept is played again."""
    ce, ledger, keeper = _train(fault, setup, empty.seed, folder)
    judgement = judge(ledger, ended=True)
    begun = time.perf_counter()
    from_replay.triage(keeper, ledger, [result.check.code for result in rank(judgement.results)])
    return _told(replace(empty, ce=ce, seconds=time.perf_counter() - begun), ledger)


def _of_config(empty: TriageOutcome, fault: Fault, setup: Setup, folder: Path) -> TriageOutcome:
    """As `reid-smoke triage` does it, on the config that has the mistake in it."""
    from reid_smoke.plan import Plan
    from reid_smoke.report.live import LiveDisplay
    from reid_smoke.report.trial_progress import TrialProgress
    from reid_smoke.triage import from_config

    ce, _, _ = _train(fault, setup, empty.seed, folder)
    parts = open_parts(setup.plan, setup.shape_model, empty.seed, folder)
    fault.change(parts)
    plan = {**parts.plan, "name": "bench", "device": "cpu", "rule": {"window": list(setup.window)}}
    begun = time.perf_counter()
    with LiveDisplay(io.StringIO()) as display:
        outcome = from_config.triage(
            Plan(Config.model_validate(plan), "triage", "bench"), folder / "out", display,
            TrialProgress(io.StringIO(), begun + BUDGET_S),
            budget_s=BUDGET_S, deadline=begun + BUDGET_S, started=begun,
        )  # fmt: skip
    return _told(replace(empty, ce=ce, seconds=time.perf_counter() - begun), outcome.ledger)


def _train(fault: Fault, setup: Setup, seed: int, folder: Path) -> tuple[str, Ledger, Keeper]:
    """Train with the fault to the window's end, whatever is found on the way.

    Returns what CE did (or `crashed`), the facts, and what was kept for a replay.
    """
    ledger = Ledger()
    parts, training = begin(setup, {fault.stage: [fault.change]}, seed, setup.window, folder, ledger)
    observer = Observer(ledger)
    keeper = Keeper(observer, lambda sentence: None)

    def stop(step: int) -> bool:
        observer.settle()
        observer.fetch()
        return step >= setup.window[1] and step >= _curve(ledger).rule.window[1]

    how: Literal["finished", "crashed"] = "finished"
    keeper.start()
    with observing(observer):
        try:
            parts.train(training, max_steps=10 * setup.window[1], stop=stop)
        except Exception as error:  # a crash is part of some faults
            observer.settle()
            ledger.add(read_crash(error, observer.step, observer.labels_before))
            how = "crashed"
    keeper.close()
    observer.finish(how)
    return how if how == "crashed" else _curve(ledger).word, ledger, keeper


def _curve(ledger: Ledger) -> Curve:
    return read_curve(ledger.first(RunFacts), ledger.first(DatasetFacts), ledger.last(GraphFacts), ledger.steps)


def _told(outcome: TriageOutcome, ledger: Ledger) -> TriageOutcome:
    """What the trials in the ledger say."""
    end = ledger.last(TriageFacts)
    proof = prove(ledger.all(TrialFacts), end) or Proof((), None, ())
    if proof.flipped is not None:
        found = proof.flipped.trial.changes
    else:
        found = (PLAIN_LOOP,) if "loop" in proof.lies_in else ()
    return replace(
        outcome,
        ended=end.ended if end is not None else "killed",
        found=found,
        lies_in=proof.lies_in,
        trials=tuple((o.trial.name, o.ce_first, o.ce_last, o.learned, o.trial.unseen_rank) for o in proof.outcomes),
        said=proof.sentences[0] if proof.sentences else "",
    )
