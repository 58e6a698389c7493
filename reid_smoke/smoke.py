"""One smoke run from a config to a judgement: the road that `run` and `overfit` share.

Everything that can be wrong with the user's input is found before the run's folder is made, so that a bad config
leaves nothing behind. From the first step on, whatever happens is reported.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reid_smoke.build.data.training_set import TrainingSet, fixed_subset, open_training_set
from reid_smoke.checks.catalogue import rank
from reid_smoke.config.dump import dump_config
from reid_smoke.config.schema import Config, DataConfig
from reid_smoke.errors import CouldNotJudge, ReidSmokeError, UsageError
from reid_smoke.facts import (
    EndFacts,
    ExecutionFacts,
    ProbeFault,
    RetrievedFacts,
    RunFacts,
    StartupFacts,
    UnreadableFacts,
)
from reid_smoke.folder import make_run_folder
from reid_smoke.last_resort import SECONDS_OF_FIRST, SECONDS_OF_OTHERS, LastResort
from reid_smoke.ledger import Ledger
from reid_smoke.pace import Pace
from reid_smoke.rank_files import OtherRanks, is_of_a_peer, open_rank_ledger
from reid_smoke.report.live import LiveDisplay
from reid_smoke.rule import DEFAULT_WINDOW, LEAST_STEPS
from reid_smoke.train.ranks import ALONE, Place, Ranks, device_of, find_place, join
from reid_smoke.verdict import Judgement, judge

if TYPE_CHECKING:
    from reid_smoke.build.data.loader import Batch
    from reid_smoke.build.training import Training
    from reid_smoke.retrieval.probe import RetrievalProbe

LEAST_WINDOW = 4  # steps, of overfit

How = Literal["finished", "stopped", "interrupted", "crashed"]


@dataclass(frozen=True)
class Plan:
    """What to run, and what to call it."""

    config: Config
    way_in: Literal["run", "overfit", "triage"]
    command: str
    path: Path | None = None  # of the config, as it was given
    samples: int | None = None  # overfit: this many fixed samples
    epochs: int | None = None  # overfit: this often over them


@dataclass(frozen=True)
class Outcome:
    judgement: Judgement
    ledger: Ledger
    folder: Path
    how: How
    exit_code: int  # of all ranks


def smoke(
    plan: Plan, out: Path | None, display: LiveDisplay, *, started: float, last_words: Callable[[Outcome], int]
) -> Outcome:
    """Train until the verdict is certain, and judge. Of several ranks each calls this, and the first judges for all.

    out: the run's folder; by default a fresh one under `runs/`.
    display: shows the facts as they come, and says at once what ends the run.
    started: `time.perf_counter()` at the process's start.
    last_words: what reports the outcome and gives the exit code, where a signal ends a process that waits in vain for
        another rank; the process then ends from there.

    Raises UsageError (and its kin) for bad input, before anything is written.
    """
    place = find_place()
    with sigterm_as_interrupt(), LastResort(_patience(place)) as resort:
        unreadable: list[UnreadableFacts] = []
        seen: list[Batch] = []
        with _no_collection():
            phases = Phases(started)
            prepared = _prepare(plan, place, unreadable.append, seen.append, phases)
        ranks = join(place, prepared.training.device)
        training, steps = ranks.share(prepared.training), prepared.steps
        folder = _agree_on_folder(plan, out, ranks)
        if place.is_first:
            ledger = Ledger(folder / "facts.jsonl")
            ledger.subscribe(display)
            ledger.add(run_facts(plan, training, prepared.window, steps, place.ranks))
        else:
            ledger = open_rank_ledger(folder, place.rank, place.ranks)
        others = OtherRanks(folder, place.ranks, time.time() - (time.perf_counter() - started))

        def end_here() -> int:
            ledger.add(EndFacts.unmeasured(ledger.steps[-1].step if ledger.steps else 0, "interrupted"))
            if not place.is_first:
                return CouldNotJudge.exit_code
            others.finish_into(ledger)
            judgement = judge(ledger, ended=True)
            return last_words(Outcome(judgement, ledger, folder, "interrupted", judgement.exit_code))

        resort.act = end_here
        for fact in (*training.facts, phases.facts(), *unreadable):
            ledger.add(fact)
        unreadable.clear()  # from now on those that come up while training
        retrieval = prepared.retrieval if place.is_alone else None  # other ranks would wait for it
        before = _retrieved(retrieval, training, ledger) if retrieval is not None else None
        how = train_until_certain(training, ledger, display, unreadable, steps, started, ranks, others)
        ranks.hear_no_signal()
        resort.stand_down()
        if place.is_first:
            others.finish_into(ledger)
        if retrieval is not None:
            after = None
            if how in ("finished", "stopped"):
                with suppress(KeyboardInterrupt):  # whoever will not wait for the figure still gets the verdict
                    after = _retrieved(retrieval, training, ledger)
            ledger.add(retrieval.facts.model_copy(update={"before": before, "after": after}))
        if seen and place.is_first:
            _show_batch(seen[0], prepared.training_set, plan.config, folder, ledger)
        judgement = judge(ledger, ended=True)
        ledger.close()
        code = judgement.exit_code
        if how in ("finished", "stopped"):
            code = int(ranks.share_word("exit code", str(code)))
            ranks.leave()
    return Outcome(judgement, ledger, folder, how, code)


def _patience(place: Place) -> float | None:
    if place.is_alone:
        return None  # it waits for nobody
    return SECONDS_OF_FIRST if place.is_first else SECONDS_OF_OTHERS


def _agree_on_folder(plan: Plan, out: Path | None, ranks: Ranks) -> Path:
    """The first rank makes the run's folder, and the others hear of it."""
    if not ranks.place.is_first:
        return Path(ranks.hear("folder"))
    folder = make_run_folder(out, plan.config.name, dump_config(plan.config))
    ranks.tell("folder", str(folder.absolute()))
    return folder


class Phases:
    """How long each phase before the first step took.

    started: `time.perf_counter()` at the process's start.
    """

    def __init__(self, started: float) -> None:
        self._last = started
        self._seconds: dict[str, float] = {}

    def end(self, name: str) -> None:
        now = time.perf_counter()
        self._seconds[name], self._last = now - self._last, now

    def facts(self) -> StartupFacts:
        return StartupFacts(phases=self._seconds)


@dataclass(frozen=True)
class _Prepared:
    """A training about to begin."""

    training: Training
    training_set: TrainingSet
    window: tuple[int, int]
    steps: int | None  # the last one; None: where the verdict is certain
    retrieval: RetrievalProbe | None  # None: not asked for


def _prepare(
    plan: Plan,
    place: Place,
    on_unreadable: Callable[[UnreadableFacts], None],
    on_first: Callable[[Batch], None],
    phases: Phases,
) -> _Prepared:
    config = plan.config
    if plan.epochs is None and config.rule.window[1] < LEAST_STEPS:
        raise UsageError(
            f"rule.window {list(config.rule.window)} ends too early: in fewer than {LEAST_STEPS} steps no trend can be "
            "told from noise"
        )
    with _reading(config.data) as training_set_of:
        from reid_smoke.build.data.loader import build_loader
        from reid_smoke.build.training import build_training, resolve_device

        device = device_of(place, resolve_device(config.device))
        phases.end("importing")
        training_set = training_set_of()
        phases.end("waiting for the data")
    if plan.samples is not None:
        training_set = fixed_subset(training_set, plan.samples, config.seed)
    loader = build_loader(
        training_set, config.data, seed=config.seed, on_unreadable=on_unreadable, on_first=on_first, device=device,
        rank=place.rank, ranks=place.ranks,
    )  # fmt: skip
    training = build_training(config, training_set, loader, device)
    phases.end("building")
    if plan.epochs is None:
        retrieval = None
        if config.retrieval is not None:
            from reid_smoke.retrieval.probe import retrieval_probe

            retrieval = retrieval_probe(
                config.data, training_set, most=config.retrieval.images, seed=config.seed,
                captions=config.model.text is not None,
            )  # fmt: skip
        return _Prepared(training, training_set, config.rule.window, config.train.steps, retrieval)
    each = training.steps_per_epoch
    last = plan.epochs * each
    if last < LEAST_STEPS:
        raise UsageError(
            f"{plan.epochs} epochs over {plan.samples} samples are {last} steps of {config.data.batch_size}, and in "
            f"fewer than {LEAST_STEPS} no trend can be told from noise: "
            f"give --epochs {ceil(LEAST_STEPS / each)} or more"
        )
    # The last epoch; where that is a step or two, a few more, since a single batch says little.
    return _Prepared(training, training_set, (last - max(each, LEAST_WINDOW) + 1, last), last, None)


def _retrieved(retrieval: RetrievalProbe, training: Training, ledger: Ledger) -> RetrievedFacts | None:
    """The figure of the model as it is; where measuring fails, that is a fact, and the training goes on."""
    try:
        return retrieval.of_model(training.model, training.device)
    except Exception as error:
        ledger.add(_fault("retrieval", error, ledger))
        return None


def _fault(probe: str, error: Exception, ledger: Ledger) -> ProbeFault:
    step = ledger.steps[-1].step if ledger.steps else 0
    return ProbeFault(step=step, probe=probe, message=f"{type(error).__name__}: {error}")


def _show_batch(batch: Batch, training_set: TrainingSet, config: Config, folder: Path, ledger: Ledger) -> None:
    """The first batch as a picture in the run's folder. After the training: it costs that nothing."""
    from reid_smoke.build.data.contact_sheet import save_sheet, sheet_of_batch

    title = f"{config.name}: the first batch, as the model saw it"
    try:
        save_sheet(sheet_of_batch(batch, training_set, config.data, title), folder / "contact-sheet.jpg")
    except (ReidSmokeError, KeyboardInterrupt):  # a full disk, of which the report will tell; somebody in a hurry
        return
    except Exception as error:  # on a GPU that a label out of range has broken, nothing can be fetched any more
        ledger.add(_fault("contact sheet", error, ledger))


@contextmanager
def _reading(data: DataConfig) -> Iterator[Callable[[], TrainingSet]]:
    """Opens the training set in a process of its own, while this one imports torch: side by side on two cores.

    Both are Python through and through, so that threads would take turns. Where torch has been imported already there
    is nothing to be done meanwhile, and forking a process with threads is better left alone.
    """
    if "torch" in sys.modules:
        yield lambda: open_training_set(data)
        return
    with ProcessPoolExecutor(1, initializer=_follow_the_parent) as pool:
        yield pool.submit(open_training_set, data).result


@contextmanager
def _no_collection() -> Iterator[None]:
    """Importing torch makes a million objects that stay: looking through them for garbage costs an eighth of it."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _follow_the_parent() -> None:
    """In the reading process: signals are the parent's to answer, and where it dies, nobody waits for the data."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def run_facts(plan: Plan, training: Training, window: tuple[int, int], steps: int | None, ranks: int = 1) -> RunFacts:
    from reid_smoke.build.parts import BUILT_IN_HEAD
    from reid_smoke.environment import read_environment

    config = plan.config
    return RunFacts(
        way_in=plan.way_in,
        name=config.name,
        command=plan.command,
        config=str(plan.path or ""),
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        window=window,
        planned_steps=steps if steps is not None else window[1],
        steps_per_epoch=training.steps_per_epoch,
        max_ce=config.rule.max_ce,
        feat_norm=config.model.feat_norm if training.understood is None and training.head == BUILT_IN_HEAD else None,
        head=training.head,
        ranks=ranks,
        environment=read_environment(str(training.device)),
    )


def train_until_certain(
    training: Training,
    ledger: Ledger,
    display: LiveDisplay,
    unreadable: list[UnreadableFacts],
    steps: int | None,
    started: float,
    ranks: Ranks = ALONE,
    others: OtherRanks | None = None,
) -> How:
    """Train, observed, for `steps` or until the verdict is certain; whatever ends it is a fact by then.

    Of several ranks all stop where the first finds it certain; `others` is what it knows of them.
    """
    from reid_smoke.probes.crash import read_crash
    from reid_smoke.probes.observer import Observer
    from reid_smoke.train.captured import choose_learner, why_one_by_one
    from reid_smoke.train.loop import train
    from reid_smoke.watch.hooks import observing

    observer = Observer(ledger, started=started)
    run = ledger.first(RunFacts)
    window_end = training.config.rule.window[1]
    judge_now = _Judge(ledger, display, run.window[1] if run is not None else DEFAULT_WINDOW[1], others)

    def settle() -> None:
        observer.settle()
        while unreadable:
            ledger.add(unreadable.pop(0))

    def stop(step: int) -> bool:
        settle()
        if not ranks.is_agreed(step, window_end):
            return False
        certain = False
        if ranks.place.is_first and judge_now.is_due(step):
            # In between, what has arrived is judged: a GPU that somebody waits for has nothing to do after that.
            observer.fetch(wait=step <= 10 or step >= judge_now.window_end)
            certain = judge_now()
        return ranks.agree(step, certain)

    how: How = "finished"
    try:
        with observing(observer):
            # A label out of range, a checkpoint that did not arrive: nobody waits for a step to hear of it.
            if not ranks.agree(0, ranks.place.is_first and judge_now()):
                learn = choose_learner(training)
                most = steps if steps is not None else sys.maxsize
                train(training, max_steps=most, stop=stop, learn=learn)
                if training.device.type == "cuda":
                    why = why_one_by_one(training) or getattr(learn, "fell_back", None)
                    ledger.add(ExecutionFacts(captured=why is None, reason=why or ""))
            how = "stopped" if judge_now.fatal else "finished"
    except KeyboardInterrupt:
        how = "interrupted"
        ranks.hear_no_signal()
    except Exception as error:  # the user's model, data or device: what was seen so far is worth a report
        ranks.hear_no_signal()
        how = "crashed"
        settle()
        display.close()
        crash = read_crash(error, observer.step, observer.labels_before)
        ledger.add(crash)
        if isinstance(error, ReidSmokeError):
            print(f"reid-smoke: {error}", file=sys.stderr)
        elif ranks.place.is_alone or not is_of_a_peer(crash):
            traceback.print_exception(error)
    settle()
    observer.finish(how)
    return how


class _Judge:
    """Asks for a verdict when it may have become certain, and says at once what ends the run."""

    def __init__(self, ledger: Ledger, display: LiveDisplay, window_end: int, others: OtherRanks | None) -> None:
        self._ledger = ledger
        self._others = others
        self._display = display
        self._pace = Pace(window_end)
        self.fatal = False

    def is_due(self, step: int) -> bool:
        return self._pace.is_due(step)

    @property
    def window_end(self) -> int:
        return self._pace.window_end

    def __call__(self) -> bool:
        """Whether the training may end: the window has closed, or a fatal fault is certain."""
        if self._others is not None:
            self._others.read_into(self._ledger)
        judgement = judge(self._ledger, ended=False)
        self._pace.window_end = judgement.verdict.rule.window[1]
        causes = [r for r in rank(judgement.results) if r.severity == "fatal"]
        if causes:
            self.fatal = True
            self._display.fatal(causes[0])
        return judgement.verdict.certain


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """A job that is told to end gets the time to write its report, as with Ctrl-C."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is interrupt:  # else somebody has a reason to hear nothing more
            signal.signal(signal.SIGTERM, before)
