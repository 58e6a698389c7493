"""Judge a training while it goes on, and say what is certain; no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from reid_smoke.checks.catalogue import rank
from reid_smoke.facts import AnyFact, LoopFacts, StepFacts
from reid_smoke.ledger import Ledger
from reid_smoke.pace import Pace
from reid_smoke.verdict import judge

if TYPE_CHECKING:
    from reid_smoke.probes.observer import Observer
    from reid_smoke.rank_files import OtherRanks


class LiveJudge:
    """Says, each once, the fatal findings and the verdict that has become certain.

    ledger: where the facts are. window_end: a step. say: told in a sentence. others: what other ranks have seen is read
    into the ledger before each judgement. observer: set where there is one; a window that was moved is seen as densely.
    """

    def __init__(
        self, ledger: Ledger, window_end: int, say: Callable[[str], None], others: OtherRanks | None = None
    ) -> None:
        self.is_over = False  # nothing more is said
        self.observer: Observer | None = None
        self._ledger, self._say, self._others = ledger, say, others
        self._told: set[str] = set()
        self._pace = Pace(window_end)

    def hears(self, fact: AnyFact) -> bool:
        """Judge after a step that may have made the verdict certain, or counts that may have. True: just now it has.

        Once, and never again after an exception: on the way there is nothing more to be had, and the end judges anew.
        """
        if self.is_over or not self._is_due(fact):
            return False
        try:
            self.is_over = self._judge()
        except Exception:
            self.is_over = True
            raise
        return self.is_over

    def _judge(self) -> bool:
        if self._others is not None:
            self._others.read_into(self._ledger)
        judgement = judge(self._ledger, ended=False)
        for result in rank(judgement.results):
            if result.severity == "fatal" and result.finding is not None and result.check.code not in self._told:
                self._told.add(result.check.code)
                where = f"step {result.finding.step}: " if result.finding.step else ""
                self._say(f"{where}{result.check.code} {result.check.slug}: {result.finding.evidence}")
        verdict = judgement.verdict
        self._pace.window_end = end = verdict.rule.window[1]
        if self.observer is not None:
            self.observer.dense_until, self.observer.closes_at = max(self.observer.dense_until, end), end
        if verdict.certain:
            self._say(f"{verdict.word}: {verdict.reason}")
        return verdict.certain

    def _is_due(self, fact: AnyFact) -> bool:
        """Counts alone tell something only in a loop that makes no step."""
        if isinstance(fact, LoopFacts):
            return fact.step <= 10
        return isinstance(fact, StepFacts) and self._pace.is_due(fact.step)
