"""Watch a training that is not ours, from its first step to its end, and judge it as it goes.

`Watch` is what both `reid-smoke watch` and `with reid_smoke.watch():` stand on. It never raises into the user's
training, but for the one thing that `stop=True` asks for.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Literal

from reid_smoke.checks.catalogue import rank
from reid_smoke.environment import read_environment
from reid_smoke.errors import ReidSmokeError
from reid_smoke.facts import AnyFact, LoopFacts, RunFacts, StepFacts
from reid_smoke.folder import make_run_folder
from reid_smoke.ledger import Ledger
from reid_smoke.probes.crash import read_crash
from reid_smoke.probes.observer import Observer
from reid_smoke.report.document import Report, build_report
from reid_smoke.report.json import write_json
from reid_smoke.verdict import Judgement, judge
from reid_smoke.watch.hooks import observing

How = Literal["finished", "stopped", "interrupted", "crashed"]


class StopTraining(BaseException):
    """Ends a watched training from within, for `stop`. No Exception, so that none of their handlers holds it."""


class Watch:
    """A context manager around a training loop.

    name: names the report's folder. window: the steps over which CE is judged. out: the report's folder.
    stop: end the training (by StopTraining, which this context manager swallows) once the verdict is certain.
    say: told, in a sentence, of a fatal finding and of the verdict when the window closes.

    After the `with` block: `report`, `judgement` and `folder`.
    """

    def __init__(
        self,
        name: str = "watch",
        *,
        window: tuple[int, int] = (200, 300),
        out: Path | None = None,
        stop: bool = False,
        command: str = "",
        say: Callable[[str], None] | None = None,
        started: float | None = None,
    ) -> None:
        self.folder = make_run_folder(out, name)
        self.ledger = Ledger(self.folder / "facts.jsonl")
        self.report: Report | None = None
        self.judgement: Judgement | None = None
        self.error: str | None = None  # why the report could not be written
        self._observer = Observer(self.ledger, started=started if started is not None else time.perf_counter())
        self._stop = stop
        self._say = say or (lambda sentence: None)
        self._told: set[str] = set()
        self._certain = False
        self._undo = ExitStack()
        self.ledger.add(
            RunFacts(
                way_in="watch",
                name=name,
                command=command,
                started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                window=window,
                environment=read_environment("cpu"),
            )
        )
        self.ledger.subscribe(self._judge)

    def __enter__(self) -> Watch:
        self._undo.enter_context(observing(self._observer))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.finish(error)
        return isinstance(error, StopTraining)

    def finish(self, error: BaseException | None) -> None:
        """Take the hooks away, judge what was seen, and write the report. Never raises; called once."""
        self._undo.close()
        if self.report is not None:
            return
        how: How = "finished"
        if isinstance(error, StopTraining):
            how = "stopped"
        elif isinstance(error, KeyboardInterrupt):
            how = "interrupted"
        elif error is not None and not (isinstance(error, SystemExit) and error.code in (None, 0)):
            how = "crashed"
            self._observer.settle()
            self.ledger.add(read_crash(error, self._observer.step))
        self._certain = True  # nothing more to be said on the way
        self._observer.finish(how)
        self.judgement = judge(self.ledger, ended=True)
        self.ledger.close()
        self.report = build_report(self.ledger, self.judgement.results, self.judgement.verdict)
        try:
            write_json(self.report, self.folder / "report.json")
        except ReidSmokeError as failure:
            self.error = str(failure)

    def _judge(self, fact: AnyFact) -> None:
        """After a step that may have made the verdict certain, or counts that may have."""
        if self._certain or not isinstance(fact, (StepFacts, LoopFacts)):
            return
        if isinstance(fact, StepFacts) and fact.step > 10 and fact.step % 10:
            return
        judgement = judge(self.ledger, ended=False)
        for result in rank(judgement.results):
            if result.severity == "fatal" and result.finding is not None and result.check.code not in self._told:
                self._told.add(result.check.code)
                where = f"step {result.finding.step}: " if result.finding.step else ""
                self._say(f"{where}{result.check.code} {result.check.slug}: {result.finding.evidence}")
        if judgement.verdict.certain:
            self._certain = True
            self._say(f"{judgement.verdict.word}: {judgement.verdict.reason}")
            if self._stop:
                raise StopTraining


def on_sigterm(report: Callable[[], None]) -> Callable[[], None]:
    """On SIGTERM, report first and then die of it as python would. Returns what takes the handler away again."""
    if sys.platform == "win32" or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return lambda: None

    def handle(number: int, frame: FrameType | None) -> None:
        report()
        die_of(number)

    before: Any = signal.signal(signal.SIGTERM, handle)

    def undo() -> None:
        if signal.getsignal(signal.SIGTERM) is handle:
            signal.signal(signal.SIGTERM, before)

    return undo


def die_of(number: int) -> None:
    """End this process by the signal itself, so that whoever waits for it sees the same as without us."""
    import os

    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
