"""One case of the bench: a training with or without a fault, watched and judged as `reid-smoke run` does it."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
import traceback
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fault_bench.parts import Change, Parts, Stage, assemble, open_parts
from fault_bench.setups import Setup
from reid_smoke.build.training import Training
from reid_smoke.checks.catalogue import rank
from reid_smoke.facts import ProbeFault, RunFacts
from reid_smoke.ledger import Ledger
from reid_smoke.pace import Pace
from reid_smoke.probes.crash import read_crash
from reid_smoke.probes.observer import Observer
from reid_smoke.verdict import judge
from reid_smoke.watch.hooks import observing


@dataclass(frozen=True)
class Case:
    """What is run. `wanted`: slugs of which the first finding must be one; none for a control."""

    name: str
    wanted: tuple[str, ...]
    setup: Setup
    changes: dict[Stage, list[Change]]
    seed: int
    window: tuple[int, int]
    facts: Path | None = None  # a folder that keeps the ledger


@dataclass(frozen=True)
class Outcome:
    """What came of a case, ready for JSON."""

    case: str
    wanted: tuple[str, ...]
    way: str
    setup: str
    seed: int
    verdict: str
    reason: str
    found: tuple[tuple[str, str, str], ...]  # slug, severity, evidence; first cause first
    certain_step: int | None  # at which the wanted finding was first there
    certain_updates: int | None  # optimizer steps until then
    steps: int
    errors: tuple[str, ...]  # checks that crashed, probes that failed, faults of the bench itself
    seconds: float

    @property
    def named_first(self) -> bool:
        return bool(self.found) and self.found[0][0] in self.wanted

    @property
    def listed(self) -> bool:
        return any(slug in self.wanted for slug, _, _ in self.found)

    @property
    def caught(self) -> bool:
        return self.listed or self.verdict == "NO-GO"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def run_case(case: Case) -> Outcome:
    """Train until the verdict is certain, as `run` would. Never raises: what goes wrong is in the outcome."""
    begun = time.perf_counter()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            return _run(case, begun)
    except Exception as error:
        what = f"{type(error).__name__}: {error} at {traceback.extract_tb(error.__traceback__)[-1]}"
        return Outcome(
            case.name, case.wanted, "run", case.setup.name, case.seed, "none", "the bench failed", (), None, None, 0,
            (what,), time.perf_counter() - begun,
        )  # fmt: skip


def begin(
    setup: Setup, changes: dict[Stage, list[Change]], seed: int, window: tuple[int, int], folder: Path, ledger: Ledger
) -> tuple[Parts, Training]:
    """The training, with its changes made, and in the ledger what is known of it before its first step."""
    parts = open_parts(setup.plan, setup.shape_model, seed, folder)
    training = assemble(parts, changes)
    ledger.add(
        RunFacts(
            way_in="run",
            name="bench",
            window=window,
            steps_per_epoch=training.steps_per_epoch,
            feat_norm=training.config.model.feat_norm,
            head="bn_neck.classifier.weight",
        )
    )
    for fact in training.facts:
        ledger.add(fact)
    return parts, training


def _run(case: Case, begun: float) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        kept = case.facts / f"{case.name}-{case.setup.name}-{case.seed}.jsonl" if case.facts is not None else None
        ledger = Ledger(kept)
        parts, training = begin(case.setup, case.changes, case.seed, case.window, Path(folder), ledger)
        observer = Observer(ledger)
        seen = Seen(case.wanted, case.window, ledger)
        how = "finished"

        def stop(step: int) -> bool:
            observer.settle()
            while parts.unreadable:
                ledger.add(parts.unreadable.pop(0))
            observer.fetch()
            return seen.is_certain(step)

        with observing(observer):
            try:
                if not seen.is_certain(0):
                    parts.train(training, max_steps=10 * case.window[1], stop=stop)
            except Exception as error:  # a crash is part of some faults
                observer.settle()
                ledger.add(read_crash(error, observer.step, observer.labels_before))
                how = "crashed"
        observer.finish(how)
        judgement = judge(ledger, ended=True)
        seen.note(judgement)
        ledger.close()
    failed = [f"{r.check.code}: {r.error}" for r in judgement.results if r.status == "error"]
    failed += [f"{f.probe}: {f.message}" for f in ledger.all(ProbeFault)]
    return Outcome(
        case=case.name,
        wanted=case.wanted,
        way="run",
        setup=case.setup.name,
        seed=case.seed,
        verdict=judgement.verdict.word,
        reason=judgement.verdict.reason,
        found=tuple(
            (r.check.slug, r.severity, r.finding.evidence) for r in rank(judgement.results) if r.finding is not None
        ),
        certain_step=seen.step,
        certain_updates=seen.updates,
        steps=ledger.steps[-1].step if ledger.steps else 0,
        errors=tuple(failed),
        seconds=time.perf_counter() - begun,
    )


class Seen:
    """Judges at the project's own pace, and remembers when the wanted finding first came up."""

    def __init__(self, wanted: tuple[str, ...], window: tuple[int, int], ledger: Ledger) -> None:
        self._wanted, self._ledger = wanted, ledger
        self._pace = Pace(window[1])
        self.step: int | None = None
        self.updates: int | None = None

    def is_certain(self, step: int) -> bool:
        if not self._pace.is_due(step):
            return False
        judgement = judge(self._ledger, ended=False)
        self._pace.window_end = judgement.verdict.rule.window[1]
        self.note(judgement)
        return judgement.verdict.certain

    def note(self, judgement: Any) -> None:
        if self.step is None and any(r.check.slug in self._wanted for r in rank(judgement.results)):
            self.step = self._ledger.steps[-1].step if self._ledger.steps else 0
            self.updates = sum(s.applied for s in self._ledger.steps)
