"""Which trial comes next, until one proves the mend or the budget is out; no torch.

It does not know what a plan is: a `Subject` plays plans, from the same start on the same batches each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol

from reid_smoke.checks.catalogue import check_of
from reid_smoke.facts import TriageFacts, TrialFacts
from reid_smoke.ledger import Ledger
from reid_smoke.triage.proof import STOOD, can_be_bettered, labels_go_with_images, learned
from reid_smoke.triage.trial import PlanT, Trial, in_order

TURNS = 8  # over the few batches: to learn by heart each has to come often
LEAST_STEPS, MOST_STEPS = 24, 64  # of a trial on the few batches
MOST_OF_STREAM = 120  # steps
MANY = 8  # trials that the budget should have room for
AS_IT_IS = "as it is"
ALL_SMALL, ALL = "all of these changes", "the reference in everything"

Batches = Literal["few", "stream"]
Ended = Literal["not needed", "proven", "exhausted", "out of budget", "interrupted"]


@dataclass(frozen=True)
class Look:
    """What a trial sees: the first `distinct` batches over and over, or `steps` batches of the stream."""

    batches: Batches
    distinct: int
    steps: int


@dataclass(frozen=True)
class Played:
    """One re-run: plain CE of each step, over how many classes, and what it crashed with."""

    ce: tuple[float, ...]
    num_classes: int
    error: str = ""
    unseen_rank: float | None = None  # as TrialFacts has it
    unseen: int = 0
    guessing_ce: float | None = None


class Subject(Protocol[PlanT]):
    """A training that can be started again and again."""

    @property
    def plan(self) -> PlanT: ...  # as it is

    @property
    def trials(self) -> Sequence[Trial[PlanT]]: ...  # as listed; those that change nothing in the plan are left out

    @property
    def as_it_is(self) -> str: ...  # what nothing changed is called

    @property
    def most_distinct(self) -> int: ...  # batches that there are

    @property
    def stream(self) -> Sequence[float]: ...  # CE of the training as it is, where it was seen already; may be empty

    @property
    def has_stream(self) -> bool: ...  # batches come without end; else only few were kept

    def play(self, plan: PlanT, look: Look, tell: Callable[[int, float], None]) -> Played:
        """Train from the start. `tell` gets each step, from 1, and its CE. A crash of the training is an outcome."""

    def settings(self, plan: PlanT) -> tuple[str, ...]:
        """What differs from `self.plan`, as the user would write it down; may be empty."""


class Progress(Protocol):
    def begins(self, name: str, steps: int) -> None: ...
    def steps(self, step: int, ce: float) -> None: ...
    def ended(self, facts: TrialFacts, learned: bool) -> None: ...


class Triage(Generic[PlanT]):
    """Tries the changes of one subject, and adds a TrialFacts for each to the ledger, at the end a TriageFacts.

    codes: of the findings, first cause first; they order the trials. deadline: of `time.perf_counter()`.
    seconds_per_step: an estimate to begin with; None where there is none. ce_word: as TriageFacts has it.
    """

    def __init__(
        self,
        subject: Subject[PlanT],
        ledger: Ledger,
        codes: Sequence[str],
        progress: Progress,
        *,
        budget_s: float,
        deadline: float,
        seconds_per_step: float | None,
        ce_word: str = "",
    ) -> None:
        self._subject, self._ledger, self._progress = subject, ledger, progress
        self._codes = codes
        self._first = codes[0] if codes else ""
        first = check_of(self._first)
        self._speaks = first is not None and not first.reads_ce_alone  # the first cause, for more than what CE does
        self._budget_s, self._deadline = budget_s, deadline
        self._step_s = seconds_per_step or 0.0
        self._as_is: TrialFacts | None = None
        self._untried: list[str] = []
        self._ce_word = ce_word

    def run(self) -> Ended:
        try:
            ended = self._try_all()
        except KeyboardInterrupt:
            ended = "interrupted"
        seconds = self._budget_s - (self._deadline - time.perf_counter())
        self._ledger.add(
            TriageFacts(
                budget_s=self._budget_s,
                seconds=seconds,
                ended=ended,
                untried=tuple(self._untried),
                replayed=not self._subject.has_stream,
                ce_word=self._ce_word,
                first_cause=self._first,
            )
        )
        return ended

    # --- the order of things ---

    def _try_all(self) -> Ended:
        look = self._choose_look()
        if look is None:
            return self._learns_as_it_is()
        real = [t for t in in_order(self._subject.trials, self._codes) if self._changed([t]) is not None]
        small = [trial for trial in real if trial.swap is None]
        swaps = [trial for trial in real if trial.swap is not None]
        asked = [trial for trial in small if any(map(trial.takes_away, self._codes))]
        named = [swap for swap in swaps if swap.takes_away(self._first)]
        if self._try_each(asked, look) or self._try_each(named, look):
            return "proven"
        if 1 < len(asked) < len(small) and self._try(asked, look):
            self._narrow(asked, look)
            return "proven"
        if any(self._try([trial], look) for trial in small if trial not in asked):
            return "proven"
        found = self._try_each([swap for swap in swaps if swap not in named], look)
        if len(small) > 1 and self._try(small, look, ALL_SMALL):
            self._narrow(small, look)
            return "proven"
        if found:
            return "proven"
        if small and swaps and len(real) > 1 and self._try(real, look, ALL):
            self._narrow(real, look)
            return "proven"
        return "out of budget" if self._untried else "exhausted"

    def _choose_look(self) -> Look | None:
        """The few batches where the training as it is cannot even learn those by heart, else the stream.

        None: it learns from the stream, too, and not too slowly.
        """
        steps = self._affordable(LEAST_STEPS, MOST_STEPS) // TURNS * TURNS
        few = Look("few", min(steps // TURNS, self._subject.most_distinct), steps)
        if not self._try([], few):
            # What was kept and cannot be played again says nothing of a change, either.
            unplayable = not self._subject.has_stream and self._as_is is not None and self._as_is.error
            return None if unplayable else few
        if not self._subject.has_stream:  # where CE fell too slowly, any change may be what it wants
            anything = self._ce_word == "slow" and not self._speaks
            return few if anything and self._as_is is not None and can_be_bettered(self._as_is) else None
        stream = self._subject.stream
        steps = self._affordable(LEAST_STEPS, MOST_OF_STREAM)
        look = Look("stream", steps, steps)
        if len(stream) >= steps:  # seen already: the baseline
            classes = self._as_is.num_classes if self._as_is is not None else 0
            self._as_is = self._facts([], look, Played(tuple(stream[:steps]), classes), 0.0)
            self._ledger.add(self._as_is)
            found = learned(self._as_is)
            self._progress.ended(self._as_is, found)
        else:
            found = self._try([], look)
        return None if found and self._ce_word != "slow" else look

    def _learns_as_it_is(self) -> Ended:
        """By heart even a training learns whose pace is far too slow for a stream: what would mend the first cause is
        held against it. What learns and tells images that it was not trained on by guessing is played once more with
        other data: only what that teaches of images not trained on says that it is the data's fault."""
        as_is = self._as_is
        if as_is is None or as_is.error or as_is.batches == "stream":  # from a stream nothing is learnt by heart
            return "not needed"
        look = Look("few", as_is.distinct_batches, len(as_is.ce))
        asked = [t for t in self._subject.trials if t.swap is None and t.takes_away(self._first)]
        asked = [trial for trial in asked if self._changed([trial]) is not None]
        if self._ce_word in (*STOOD, "slow") and self._try_each(asked, look):
            return "proven"
        if labels_go_with_images(as_is) is False:
            self._as_is = None  # nothing can do clearly better than what learns
            for trial in self._subject.trials:
                if trial.swap == "data":
                    self._try([trial], look)
        return "not needed"

    def _affordable(self, least: int, most: int) -> int:
        """Steps a trial, so that there is room for many of them."""
        if not self._step_s:
            return most
        return max(least, min(most, int((self._deadline - time.perf_counter()) / self._step_s / MANY)))

    def _narrow(self, changes: list[Trial[PlanT]], look: Look) -> None:
        """Of changes that flip together, leave out what is not needed: first halves, then single ones."""
        size = len(changes) // 2
        while size:
            for start in range(0, len(changes), size):
                fewer = changes[:start] + changes[start + size :]
                if len(fewer) > 1 and self._try(fewer, look):
                    changes = fewer
                    break
            else:
                size //= 2
            size = min(size, len(changes) // 2)

    def _try_each(self, trials: Sequence[Trial[PlanT]], look: Look) -> bool:
        """One by one, and none is left out once another learned: the smaller of two is the better mend."""
        learnt = [self._try([trial], look) for trial in trials]
        return any(learnt)

    # --- one trial ---

    def _changed(self, trials: Sequence[Trial[PlanT]]) -> PlanT | None:
        """The plan with all these changes made; None where that changes nothing."""
        plan = self._subject.plan
        for trial in trials:
            changed = trial.change(plan)
            plan = plan if changed is None else changed
        return None if plan == self._subject.plan else plan

    def _try(self, trials: Sequence[Trial[PlanT]], look: Look, name: str = "") -> bool:
        """Whether it learned. Beyond the budget nothing is tried any more, and that is written down."""
        name = name or " and ".join(trial.name for trial in trials) or self._subject.as_it_is
        if time.perf_counter() + look.steps * self._step_s > self._deadline and trials:
            self._untried.append(name)
            return False
        plan = self._changed(trials)
        self._progress.begins(name, look.steps)
        began = time.perf_counter()
        played = self._subject.play(self._subject.plan if plan is None else plan, look, self._progress.steps)
        seconds = time.perf_counter() - began
        if not trials and played.ce:  # the start-up is counted in: each trial has one
            self._step_s = max(self._step_s, seconds / len(played.ce))
        facts = self._facts(trials, look, played, seconds, name)
        self._ledger.add(facts)
        found = learned(facts, self._as_is if trials else None, self._ce_word)
        if not trials:
            self._as_is = facts
        self._progress.ended(facts, found)
        return found

    def _facts(
        self, trials: Sequence[Trial[PlanT]], look: Look, played: Played, seconds: float, name: str = AS_IT_IS
    ) -> TrialFacts:
        plan = self._changed(trials)
        return TrialFacts(
            name=name,
            settings=self._subject.settings(plan) if plan is not None else (),
            swaps=tuple(trial.swap for trial in trials if trial.swap is not None),
            together=len(trials),
            changes=tuple(trial.slug for trial in trials),
            for_cause=self._speaks and len(trials) == 1 and trials[0].takes_away(self._first),
            batches=look.batches,
            distinct_batches=look.distinct,
            num_classes=played.num_classes,
            guessing_ce=played.guessing_ce,
            ce=played.ce,
            error=played.error,
            seconds=seconds,
            unseen_rank=played.unseen_rank,
            unseen=played.unseen,
        )
