"""Train, observed and judged all along, until the verdict is certain."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Literal

from reid_smoke.checks.catalogue import rank
from reid_smoke.errors import ReidSmokeError
from reid_smoke.facts import ExecutionFacts, RunFacts, UnreadableFacts
from reid_smoke.ledger import Ledger
from reid_smoke.pace import Pace
from reid_smoke.rank_files import OtherRanks, is_of_a_peer
from reid_smoke.report.live import LiveDisplay
from reid_smoke.rule import DEFAULT_WINDOW
from reid_smoke.train.ranks import ALONE, Ranks
from reid_smoke.verdict import judge

if TYPE_CHECKING:
    from reid_smoke.build.training import Training
    from reid_smoke.train.loop import Batches

How = Literal["finished", "stopped", "interrupted", "crashed"]


def train_until_certain(
    training: Training,
    ledger: Ledger,
    display: LiveDisplay,
    unreadable: list[UnreadableFacts],
    steps: int | None,
    started: float,
    ranks: Ranks = ALONE,
    others: OtherRanks | None = None,
    batches: Batches | None = None,
    anew_with: tuple[str, ...] = (),
) -> How:
    """Train, observed, for `steps` or until the verdict is certain; whatever ends it is a fact by then.

    Of several ranks all stop where the first finds it certain; `others` is what it knows of them. batches: where
    somebody goes on in them afterwards. anew_with: settings with which somebody begins anew where memory runs out:
    OutOfMemoryFacts say so, and that it was a crash is not told.
    """
    from reid_smoke.probes.crash import read_crash
    from reid_smoke.probes.memory import peak_and_total, read_out_of_memory
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
        observer.dense_until = max(observer.dense_until, judge_now.window_end)  # wherever it lies, it is seen densely
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
                train(training, max_steps=most, stop=stop, learn=learn, batches=batches)
                if training.device.type == "cuda":
                    why = why_one_by_one(training) or getattr(learn, "fell_back", None)
                    peak, total = peak_and_total(training.device)
                    ledger.add(ExecutionFacts(captured=why is None, reason=why or "", peak=peak, total=total))
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
        batch = training.config.data.batch_size
        ran_out = read_out_of_memory(error, crash.step, batch, str(training.device), anew_with)
        if ran_out is not None:
            ledger.add(ran_out)
        if ran_out is None or not anew_with:
            ledger.add(crash)
        if isinstance(error, ReidSmokeError):
            print(f"reid-smoke: {error}", file=sys.stderr)
        elif ran_out is None and (ranks.place.is_alone or not is_of_a_peer(crash)):
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
