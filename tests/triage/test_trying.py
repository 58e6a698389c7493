"""The order of trials, what is left out, and how several changes are narrowed; on a subject that follows a script."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import log

import pytest

from reid_smoke.facts import TriageFacts, TrialFacts
from reid_smoke.ledger import Ledger
from reid_smoke.triage.proof import prove
from reid_smoke.triage.trial import Trial
from reid_smoke.triage.trying import Look, Played, Triage

Plan = frozenset[str]  # the changes made

CHANCE = log(20)


def adds(name: str, *mends: str, swap: str | None = None) -> Trial[Plan]:
    return Trial(name, lambda plan: plan | {name}, mends=mends, swap=swap, slug=name)  # type: ignore[arg-type]


class Scripted:
    """Learns once all of `needed` are changed."""

    plan: Plan = frozenset()
    stream: tuple[float, ...] = ()
    as_it_is = "as it is"
    most_distinct = 8

    def __init__(
        self, trials: Sequence[Trial[Plan]], *needed: str, by_heart: bool = False, has_stream: bool = False
    ) -> None:
        self.trials, self.needed = trials, frozenset(needed)
        self.by_heart, self.has_stream = by_heart, has_stream
        self.interrupt_at: str | None = None
        self.unseen: dict[str, float] = {}  # by the change made; "" as it is
        self.seconds = 0.0
        self.pace = 0.0  # of what has not learnt, beside what has
        self.heart = 1.0  # the same, of what is only learnt by heart

    def settings(self, plan: Plan) -> tuple[str, ...]:
        return tuple(sorted(plan))

    def play(self, plan: Plan, look: Look, tell: Callable[[int, float], None]) -> Played:
        if self.interrupt_at in plan:
            raise KeyboardInterrupt
        time.sleep(self.seconds)
        by_heart = self.heart if self.by_heart and look.batches == "few" else self.pace
        fall = CHANCE / look.steps * (1.0 if self.needed <= plan else by_heart)
        rank = self.unseen.get(min(plan, default=""))
        return Played(tuple(CHANCE - fall * n + 0.001 * (n % 3) for n in range(look.steps)), 20, "", rank, 40)


class Silent:
    def begins(self, name: str, steps: int) -> None: ...
    def steps(self, step: int, ce: float) -> None: ...
    def ended(self, facts: TrialFacts, learned: bool) -> None: ...


def tried(subject: Scripted, *codes: str, budget: float = 60.0, ce_word: str = "") -> tuple[list[str], Ledger]:
    ledger = Ledger()
    Triage(
        subject, ledger, codes, Silent(), budget_s=budget, deadline=time.perf_counter() + budget, seconds_per_step=None,
        ce_word=ce_word,
    ).run()  # fmt: skip
    return [fact.name for fact in ledger.all(TrialFacts)], ledger


def end(ledger: Ledger) -> TriageFacts:
    last = ledger.last(TriageFacts)
    assert last is not None
    return last


def flipped(ledger: Ledger) -> str | None:
    proof = prove(ledger.all(TrialFacts), end(ledger))
    assert proof is not None
    return proof.flipped.trial.name if proof.flipped is not None else None


A, B, C, D = adds("A"), adds("B", "RS2"), adds("C", "RS1"), adds("D")
MODEL = adds("another model", swap="model")


def test_what_mends_the_first_cause_comes_first_and_the_rest_is_left_out_once_it_is_proven() -> None:
    names, ledger = tried(Scripted([A, B, C, D, MODEL], "C"), "RS1", "RS2")
    assert names == ["as it is", "C", "B"]  # B would mend a finding, too
    assert (end(ledger).ended, flipped(ledger)) == ("proven", "C")


def test_without_findings_the_listed_order_stands() -> None:
    assert tried(Scripted([A, B, C, MODEL], "B"))[0] == ["as it is", "A", "B"]


def test_what_changes_nothing_is_not_tried() -> None:
    idle: Trial[Plan] = Trial("idle", lambda plan: plan)
    none: Trial[Plan] = Trial("none", lambda plan: None)
    assert tried(Scripted([idle, none, A], "A"))[0] == ["as it is", "A"]


def test_a_swap_finds_what_no_change_does() -> None:
    names, ledger = tried(Scripted([A, B, MODEL], "another model"))
    assert names[:4] == ["as it is", "A", "B", "another model"]
    assert flipped(ledger) == "another model"


def test_a_swap_that_the_first_cause_speaks_for_comes_before_what_no_finding_speaks_for() -> None:
    data = adds("other data", "RS1", swap="data")
    assert tried(Scripted([A, B, MODEL, data], "other data"), "RS1", "RS2")[0] == ["as it is", "B", "other data"]
    names, _ = tried(Scripted([A, B, MODEL, data], "A"), "RS2", "RS1")
    assert names == ["as it is", "B", "A"]


def test_two_that_findings_speak_for_are_put_together_before_the_rest_is_tried() -> None:
    names, ledger = tried(Scripted([A, B, C, D, MODEL], "B", "C"), "RS1", "RS2")
    assert names == ["as it is", "C", "B", "C and B"]
    assert flipped(ledger) == "C and B"


@pytest.mark.parametrize("pair", [("A", "B"), ("A", "D"), ("B", "C"), ("C", "D")])
def test_two_that_are_needed_together_are_narrowed_down_to(pair: tuple[str, str]) -> None:
    _, ledger = tried(Scripted([A, B, C, D, MODEL], *pair))
    assert (end(ledger).ended, flipped(ledger)) == ("proven", " and ".join(pair))


def test_a_change_and_a_swap_together() -> None:
    _, ledger = tried(Scripted([A, B, MODEL], "A", "another model"))
    assert flipped(ledger) == "A and another model"


def test_what_nothing_mends_is_exhausted() -> None:
    names, ledger = tried(Scripted([A, B, MODEL], "nothing that can be had"))
    assert end(ledger).ended == "exhausted"
    assert names[-2:] == ["all of these changes", "the reference in everything"]


def test_what_is_learnt_by_heart_is_held_against_the_stream() -> None:
    _, ledger = tried(Scripted([A, B], "B", by_heart=True, has_stream=True))
    assert [fact.batches for fact in ledger.all(TrialFacts)] == ["few", "stream", "stream", "stream"]
    assert flipped(ledger) == "B"


def test_what_learns_as_it_is_needs_no_change() -> None:
    names, ledger = tried(Scripted([A, B], by_heart=True))
    assert (names, end(ledger).ended) == (["as it is"], "not needed")


def test_what_learns_and_guesses_unseen_images_is_held_against_other_data() -> None:
    data = adds("other data", swap="data")
    subject = Scripted([A, MODEL, data], by_heart=True)
    subject.unseen = {"": 0.5, "other data": 0.9}
    names, ledger = tried(subject)
    assert (names, end(ledger).ended) == (["as it is", "other data"], "not needed")
    assert flipped(ledger) == "other data"
    assert ledger.all(TrialFacts)[1].changes == ("other data",)
    subject.unseen = {"": 0.9}
    assert tried(subject)[0] == ["as it is"]


def test_what_would_mend_the_first_cause_is_held_against_what_learns_as_it_is_where_ce_stood() -> None:
    subject = Scripted([A, B, C, MODEL], by_heart=True)
    assert tried(subject, "RS1", "RS2", ce_word="flat")[0] == ["as it is", "C"]
    assert tried(subject, "RS3", "RS2", ce_word="flat")[0] == ["as it is"]
    subject.unseen = {"": 0.5, "C": 0.9}
    assert flipped(tried(subject, "RS1", ce_word="flat")[1]) == "C"


def test_anything_may_be_what_a_slow_training_wants_where_no_finding_speaks_for_a_cause() -> None:
    pace, modes = adds("pace", "RS203"), adds("modes", "RS507")
    subject = Scripted([A, modes, pace], "A", by_heart=True)
    subject.heart = 0.6
    names, ledger = tried(subject, "RS203", ce_word="slow")
    assert names == ["as it is", "pace", "A"]
    assert flipped(ledger) == "A"
    assert tried(subject, "RS507", "RS203", ce_word="slow")[0] == ["as it is", "modes"]
    subject.heart = 1.0  # nothing can come lower than that
    assert tried(subject, "RS203", ce_word="slow")[0] == ["as it is", "pace"]


def test_what_is_tried_for_the_first_cause_is_written_down() -> None:
    modes, pace = adds("modes", "RS507"), adds("pace", "RS203")
    trials = tried(Scripted([A, modes, pace], "A"), "RS507", "RS203")[1].all(TrialFacts)
    assert [trial.name for trial in trials if trial.for_cause] == ["modes"]
    trials = tried(Scripted([A, modes, pace], "A"), "RS203")[1].all(TrialFacts)
    assert not any(trial.for_cause for trial in trials)  # that CE falls too slowly speaks for no cause


def test_what_falls_too_slowly_is_held_against_changes_on_the_stream() -> None:
    subject = Scripted([A, B], "B", has_stream=True)
    subject.pace = 0.2
    assert tried(subject)[0] == ["as it is", "as it is"]  # by heart, and from the stream
    names, ledger = tried(subject, ce_word="slow")
    assert names == ["as it is", "as it is", "A", "B"]
    assert flipped(ledger) == "B"


def test_beyond_the_budget_nothing_is_tried_and_that_is_written_down() -> None:
    subject = Scripted([A, B, C], "C")
    subject.seconds = 0.2
    names, ledger = tried(subject, budget=0.3)
    assert names == ["as it is"]
    assert (end(ledger).ended, end(ledger).untried[:3]) == ("out of budget", ("A", "B", "C"))


def test_an_interrupt_ends_the_trials_and_keeps_what_was_tried() -> None:
    subject = Scripted([A, B, C], "C")
    subject.interrupt_at = "B"
    names, ledger = tried(subject)
    assert (names, end(ledger).ended) == (["as it is", "A"], "interrupted")
