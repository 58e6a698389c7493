"""Watch a training that is not ours, from its first step to its end, and judge it as it goes.

`Watch` is what both `reid-smoke watch` and `with reid_smoke.watch():` stand on. It never raises into the user's
training, but for the one thing that `stop=True` asks for. Nothing here imports torch before they do.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from reid_smoke.checks.catalogue import rank
from reid_smoke.errors import ReidSmokeError, UsageError
from reid_smoke.facts import AnyFact, BaselineFacts, EndFacts, ProbeFault, RunFacts
from reid_smoke.folder import PROCESSES, make_run_folder
from reid_smoke.launched import Judged, Launched
from reid_smoke.ledger import Ledger
from reid_smoke.report.building import build_report
from reid_smoke.report.document import Report
from reid_smoke.report.writing import write_reports
from reid_smoke.rule import DEFAULT_WINDOW
from reid_smoke.verdict import Judgement, judge
from reid_smoke.watch.after_import import after_import
from reid_smoke.watch.live import LiveJudge
from reid_smoke.watch.waiting import about_heads, waited_for

if TYPE_CHECKING:
    from reid_smoke.probes.observer import Observer
    from reid_smoke.rank_files import OtherRanks
    from reid_smoke.triage.replay_keeper import Keeper
    from reid_smoke.watch.other_rank import OtherRankWatch

How = Literal["finished", "stopped", "interrupted", "crashed"]

_watching: Watch | OtherRankWatch | None = None  # the one of this process


class StopTraining(BaseException):
    """Ends a watched training from within, for `stop`. No Exception, so that none of their handlers holds it."""


def how_it_ended(error: BaseException | None) -> How:
    """What a training that `error` ended came to; None: its end."""
    if isinstance(error, StopTraining):
        return "stopped"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if error is not None and not (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "crashed"
    return "finished"


def head_pattern(text: str | None) -> re.Pattern[str] | None:
    """Raises UsageError where `text` is no regular expression."""
    try:
        return re.compile(text) if text is not None else None
    except re.error as error:
        raise UsageError(f"--head {text}: this is no regular expression ({error}).") from None


class Watch:
    """A context manager around a training loop.

    name: names the report's folder. window: the steps over which CE is judged. out: the report's folder.
    stop: end the training (by StopTraining, which this context manager swallows) once the verdict is certain.
    head: the name of the head's weight, where a loss has several.
    triage: keep the first batches and the model's start, and after a NO-GO try on them where the fault lies.
    quiet: show nothing of the trials while they run.
    ignored: code of a check -> why what it finds may stand. baseline: a former report, whose findings are known.
    say: told, in a sentence, of a fatal finding and of the verdict when the window closes.
    ranks: how many processes train together; of several this is the first. others: its view of the others.
    tells: whether a process that the script starts says on stderr what is certain of its training.

    After the `with` block: `report`, `judgement` and `folder`.
    """

    def __init__(
        self,
        name: str = "watch",
        *,
        window: tuple[int, int] = DEFAULT_WINDOW,
        out: Path | None = None,
        stop: bool = False,
        head: re.Pattern[str] | None = None,
        triage: bool = False,
        quiet: bool = False,
        ignored: Mapping[str, str] | None = None,
        baseline: BaselineFacts | None = None,
        command: str = "",
        say: Callable[[str], None] | None = None,
        started: float | None = None,
        ranks: int = 1,
        others: OtherRanks | None = None,
        tells: bool = False,
    ) -> None:
        if not 0 < window[0] < window[1]:
            raise UsageError(f"{window} is no window: give its first and last step, as in (200, 300).")
        self.folder = make_run_folder(out, name).absolute()  # they may change directory
        self.ledger = Ledger(self.folder / "facts.jsonl")
        self.report: Report | None = None
        self.judgement: Judgement | None = None
        self.error: str | None = None  # why there is no report, or why it could not be written
        self._name, self._command, self._window = name, command, window
        self._began = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._started = started if started is not None else time.perf_counter()
        self._observer: Observer | None = None
        self._stop = stop
        self._ranks, self._others = ranks, others
        self._head = head
        self._say = say or (lambda sentence: None)
        self._tells = tells
        self._launched = Launched(self.folder / PROCESSES, time.time())
        self._launch_notes: tuple[str, ...] = ()
        self._judged: Judged | None = None  # in the place of what this process saw
        self._live = LiveJudge(self.ledger, window[1], self._say, others)
        self._triage, self._quiet = triage, quiet
        self._ignored, self._baseline = dict(ignored or {}), baseline
        self._keeper: Keeper | None = None
        self.trying = False  # trials are under way, and a KeyboardInterrupt ends them well
        self._undo = ExitStack()
        self._over = False
        self.is_copy = False  # in a process forked from the watched one

    gives_way = False  # to another within the script

    def give_way(self) -> None:
        """Only where `gives_way`."""

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.finish(error)
        return isinstance(error, StopTraining)

    def start(self) -> None:
        """Watch from now on; where torch is not imported yet, from its import on."""
        global _watching
        if _watching is not None and _watching.gives_way:
            _watching.give_way()
        if _watching is not None:
            raise UsageError(
                f"a training is being watched already ({_watching._name}): one watch at a time, not one in another."
            )
        if self._over:
            raise UsageError("this watch is over: make another for another training.")
        _watching = self
        self._undo.callback(after_import("torch", self._attach))

    def _attach(self) -> None:
        """Put up the hooks. Runs inside of their `import torch`, which a fault of ours must not break."""
        try:
            from reid_smoke.environment import read_environment
            from reid_smoke.probes.observer import Observer
            from reid_smoke.watch.hooks import observing

            self._add_run_facts(read_environment("as the script says"), self._ranks)
            self.ledger.subscribe(self._listen)
            observer = Observer(self.ledger, started=self._started, head=self._head, leaves_out=True)
            observer.dense_until, observer.closes_at = max(observer.dense_until, 2 * self._window[1]), self._window[1]
            if self._triage:
                from reid_smoke.triage.replay_keeper import Keeper

                self._keeper = Keeper(observer, self._say)
                self._keeper.start()
                self._undo.callback(self._keeper.close)
            self._undo.enter_context(observing(observer))
            self._observer = self._live.observer = observer
            self._watch_launches()
        except Exception as failure:  # ours never stop their training, here and below
            self._fault("hooks", failure)

    def _watch_launches(self) -> None:
        from reid_smoke.watch.in_child import Plan
        from reid_smoke.watch.launching import watch_launches

        known = [self.ledger.last(RunFacts), self._baseline] if self._tells else []
        tells = tuple(fact.model_dump_json() for fact in known if fact is not None)
        folder = str(self._launched.folder)
        plan = Plan(folder, self._window, self._head, self._started, tells)
        watch_launches(plan, self._launch_begins, self._launched.leave, self._undo)

    def _launch_begins(self, processes: int) -> int:
        import reid_smoke.watch.started  # noqa: F401  # once, and not in each process that is forked off

        launch = self._launched.add(processes)
        if self._stop and launch == 1:
            self._say("--stop is left out for processes that the script starts: only the script can end them")
        return launch

    def _add_run_facts(self, environment: dict[str, str], ranks: int) -> None:
        self.ledger.add(
            RunFacts(
                way_in="watch",
                name=self._name,
                command=self._command,
                started=self._began,
                window=self._window,
                ranks=ranks,
                ignored=self._ignored,
                environment=environment,
            )
        )
        if self._baseline is not None:
            self.ledger.add(self._baseline)

    # --- the end ---

    def finish(self, error: BaseException | None) -> None:
        """Take the hooks away, judge what was seen, and write the report. Never raises; called once."""
        global _watching
        if self._over:
            return
        self._over = self._live.is_over = True  # nothing more is said on the way
        if _watching is self:
            _watching = None
        try:
            self._undo.close()
            self._add_end(error)
            self._judge_where_it_trained(failed=error is not None)
            self._conclude()
        except ReidSmokeError as failure:
            self.error = str(failure)
        except Exception as failure:
            self.error = f"no report, by a fault of reid-smoke: {type(failure).__name__}: {failure}. Please report it"
        self.ledger.close()

    def abandon(self) -> None:
        """The end, for a process whose main thread hangs: nothing is asked of torch. Raises what goes wrong."""
        self._over = self._live.is_over = True
        self.ledger.add(EndFacts.unmeasured(self.ledger.steps[-1].step if self.ledger.steps else 0, "interrupted"))
        self._conclude(device_answers=False)

    def _judge_where_it_trained(self, *, failed: bool) -> None:
        """Where that is in processes that the script started: what they wrote, in the place of what was seen here."""
        try:
            self._judged, self._launch_notes = self._launched.judged(self.ledger, failed=failed)
        except Exception as failure:
            self._fault("started processes", failure)
        if self._judged is None:
            return
        self.ledger.close()
        run = self.ledger.first(RunFacts)
        self.ledger = Ledger(self.folder / "facts.jsonl")
        self._add_run_facts(run.environment if run is not None else {}, self._judged.ranks)
        for fact in self._judged.facts:
            self.ledger.add(fact)
        self._others = self._judged.others

    @property
    def is_trained_elsewhere(self) -> bool:
        """Processes that the script started, and that python waits for at its end, are still alive."""
        return not self.is_copy and self._launched.is_alive

    def _conclude(self, *, device_answers: bool = True) -> None:
        if self._others is not None:
            from reid_smoke.rank_files import PATIENCE
            from reid_smoke.watch.ranks import bring_home

            self._others.finish_into(self.ledger, PATIENCE if self._judged is None else 0.0)  # else it waited before
            bring_home(self._others.files, self.folder)
        shutil.rmtree(self._launched.folder, ignore_errors=True)
        self.judgement = judge(self.ledger, ended=True)
        if device_answers:
            self._try_out(self.judgement)
        report = build_report(self.ledger, self.judgement.results, self.judgement.verdict)
        self.report = self._with_notes(report) if device_answers else report
        write_reports(self.report, self.ledger, self.folder)

    def _add_end(self, error: BaseException | None) -> None:
        how = how_it_ended(error)
        observer = self._observer
        if observer is None:
            if self.ledger.first(RunFacts) is None:
                self._add_run_facts({}, self._ranks)
            return
        if how == "crashed" and error is not None:
            from reid_smoke.probes.crash import read_watched_crash

            observer.settle()
            for fact in read_watched_crash(error, observer):
                self.ledger.add(fact)
        observer.finish(how)

    def _try_out(self, judgement: Judgement) -> None:
        """After a NO-GO the trials, where they were asked for."""
        if self._keeper is None or judgement.verdict.word != "NO-GO":
            return
        from reid_smoke.triage.from_replay import triage

        self.trying = True
        try:
            if self._judged is not None:
                self._keeper.let_go("the training ran in processes that the script started, and no other holds it")
            codes = [result.check.code for result in rank(judgement.results)]
            with Path(os.devnull).open("w") as nowhere:
                triage(self._keeper, self.ledger, codes, nowhere if self._quiet else None)
        except Exception as failure:
            self._fault("trials", failure)
        finally:
            self.trying = False

    def _with_notes(self, report: Report) -> Report:
        observer, judged = self._observer, self._judged
        notes, environment = self._launch_notes, report.environment
        unclassified: Mapping[str, int] | None = observer.tally.unclassified if observer is not None else None
        if judged is not None:
            notes, unclassified, environment = judged.notes, judged.unclassified, judged.environment or environment
        if report.verdict == "UNKNOWN":
            notes += waited_for(self.ledger, unclassified)
        notes += tuple(about_heads(self.ledger, self._head))
        if judged is None and observer is not None and observer.device is not None:
            from reid_smoke.environment import read_environment

            environment = read_environment(observer.device)
        return report.model_copy(update={"notes": (*report.notes, *notes), "environment": environment})

    def forget(self) -> None:
        """In a process that was forked from the watched one: be plain python there."""
        self.is_copy = self._over = self._live.is_over = True
        self._undo.close()

    # --- on the way ---

    def _listen(self, fact: AnyFact) -> None:
        try:
            is_certain = self._live.hears(fact)
        except Exception as failure:
            self._fault("live judgement", failure)
            return
        if is_certain and self._stop:
            raise StopTraining

    def _fault(self, probe: str, failure: Exception) -> None:
        """A fault of ours, for the report: their training goes on."""
        step = self._observer.step if self._observer is not None else 0
        with suppress(Exception):
            self.ledger.add(ProbeFault(step=step, probe=probe, message=f"{type(failure).__name__}: {failure}"))


def _in_a_fork() -> None:
    global _watching
    watch, _watching = _watching, None
    if watch is not None:
        watch.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_fork)
