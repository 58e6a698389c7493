"""One smoke run from a config to a judgement: the road that `run` and `overfit` share.

Everything that can be wrong with the user's input is found before the run's folder is made, so that a bad config
leaves nothing behind. From the first step on, whatever happens is reported.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reid_smoke.checks.catalogue import rank
from reid_smoke.config.dump import dump_config
from reid_smoke.config.schema import Config
from reid_smoke.errors import ReidSmokeError
from reid_smoke.facts import RunFacts, UnreadableFacts
from reid_smoke.folder import make_run_folder
from reid_smoke.ledger import Ledger
from reid_smoke.report.live import LiveDisplay
from reid_smoke.verdict import Judgement, judge

if TYPE_CHECKING:
    from reid_smoke.build.training import Training

How = Literal["finished", "stopped", "interrupted", "crashed"]


@dataclass(frozen=True)
class Plan:
    """What to run, and what to call it."""

    config: Config
    way_in: Literal["run", "overfit"]
    command: str
    samples: int | None = None  # overfit: this many fixed samples
    epochs: int | None = None  # overfit: this often over them


@dataclass(frozen=True)
class Outcome:
    judgement: Judgement
    ledger: Ledger
    folder: Path
    how: How


def smoke(plan: Plan, out: Path | None, display: LiveDisplay, *, started: float) -> Outcome:
    """Train until the verdict is certain, and judge.

    out: the run's folder; by default a fresh one under `runs/`.
    display: shows the facts as they come, and says at once what ends the run.
    started: `time.perf_counter()` at the process's start.

    Raises UsageError (and its kin) for bad input, before anything is written.
    """
    unreadable: list[UnreadableFacts] = []
    training, window, steps = _prepare(plan, unreadable.append)
    folder = make_run_folder(out, plan.config.name)
    (folder / "config.yaml").write_text(dump_config(plan.config), encoding="utf-8")
    ledger = Ledger(folder / "facts.jsonl")
    ledger.subscribe(display)
    ledger.add(_run_facts(plan, training, window, steps))
    for fact in (*training.facts, *unreadable):
        ledger.add(fact)
    unreadable.clear()
    how = _train(training, ledger, display, unreadable, steps, started)
    judgement = judge(ledger, ended=True)
    ledger.close()
    return Outcome(judgement, ledger, folder, how)


def _prepare(
    plan: Plan, on_unreadable: Callable[[UnreadableFacts], None]
) -> tuple[Training, tuple[int, int], int | None]:
    """The training, its window, and its last step (None: where the verdict is certain)."""
    from reid_smoke.build.data.training_set import fixed_subset, open_training_set

    config = plan.config
    with ThreadPoolExecutor(1) as pool:
        # Importing torch takes seconds, and so may listing a data set: side by side they take the longer of the two.
        reading = pool.submit(open_training_set, config.data)
        from reid_smoke.build.data.loader import build_loader
        from reid_smoke.build.training import build_training, resolve_device

        device = resolve_device(config.device)
        training_set = reading.result()
    if plan.samples is not None:
        training_set = fixed_subset(training_set, plan.samples, config.seed)
    loader = build_loader(training_set, config.data, seed=config.seed, on_unreadable=on_unreadable)
    training = build_training(config, training_set, loader, device)
    if plan.epochs is None:
        return training, config.rule.window, config.train.steps
    last = plan.epochs * training.steps_per_epoch
    return training, (last - training.steps_per_epoch + 1, last), last


def _run_facts(plan: Plan, training: Training, window: tuple[int, int], steps: int | None) -> RunFacts:
    from reid_smoke.environment import read_environment

    config = plan.config
    return RunFacts(
        way_in=plan.way_in,
        name=config.name,
        command=plan.command,
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        window=window,
        planned_steps=steps if steps is not None else window[1],
        steps_per_epoch=training.steps_per_epoch,
        max_ce=config.rule.max_ce,
        feat_norm=config.model.feat_norm,
        label_smoothing=config.loss.label_smoothing,
        head="bn_neck.classifier.weight",
        environment=read_environment(str(training.device)),
    )


def _train(
    training: Training,
    ledger: Ledger,
    display: LiveDisplay,
    unreadable: list[UnreadableFacts],
    steps: int | None,
    started: float,
) -> How:
    from reid_smoke.probes.crash import read_crash
    from reid_smoke.probes.observer import Observer
    from reid_smoke.train.loop import train
    from reid_smoke.watch.hooks import observing

    observer = Observer(ledger, started=started)
    judge_at = _Judge(ledger, display)

    def stop(step: int) -> bool:
        observer.settle()
        if judge_at.is_due(step):
            observer.fetch()
        while unreadable:
            ledger.add(unreadable.pop(0))
        return judge_at(step)

    how: How = "finished"
    if judge_at(0):  # a label out of range, a checkpoint that did not arrive: nobody waits for a step to hear of it
        observer.finish("stopped")
        return "stopped"
    try:
        with _sigterm_as_interrupt(), observing(observer):
            train(training, max_steps=steps if steps is not None else sys.maxsize, stop=stop)
            how = "stopped" if judge_at.fatal else "finished"
    except KeyboardInterrupt:
        how = "interrupted"
    except ReidSmokeError:
        raise
    except Exception as error:  # the user's model, data or device: what was seen so far is worth a report
        how = "crashed"
        observer.settle()
        ledger.add(read_crash(error, observer.step))
        traceback.print_exception(error)
    observer.finish(how)
    return how


class _Judge:
    """Asks for a verdict when it may have become certain: at every step of the first ten, then at every tenth."""

    def __init__(self, ledger: Ledger, display: LiveDisplay) -> None:
        self._ledger = ledger
        self._display = display
        self.fatal = False

    def is_due(self, step: int) -> bool:
        return step <= 10 or step % 10 == 0

    def __call__(self, step: int) -> bool:
        """Whether the training may end: the window has closed, or a fatal fault is certain."""
        if not self.is_due(step):
            return False
        judgement = judge(self._ledger, ended=False)
        causes = [r for r in rank(judgement.results) if r.severity == "fatal"]
        if causes:
            self.fatal = True
            self._display.fatal(causes[0])
        return judgement.verdict.certain


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """A job that is told to end gets the time to write its report, as with Ctrl-C."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
