"""What trials prove, from facts made by hand."""

from __future__ import annotations

from math import exp, log, nan
from typing import Any

import pytest

from reid_smoke.facts import TriageFacts, TrialFacts
from reid_smoke.triage.proof import guessing_ce, learned, prove

CHANCE = log(20)
FLAT = tuple(CHANCE - 0.001 * (n % 3) for n in range(40))
BY_HEART = tuple(max(0.01, CHANCE * (1 - n / 30)) for n in range(40))


def trial(name: str = "no clipping", ce: tuple[float, ...] = FLAT, **changes: Any) -> TrialFacts:
    facts = {"name": name, "batches": "few", "distinct_batches": 5, "num_classes": 20, "ce": ce} | changes
    return TrialFacts(**facts)


def as_is(ce: tuple[float, ...] = FLAT, **changes: Any) -> TrialFacts:
    return trial("as it is", ce, together=0, **changes)


def end(ended: str = "proven", **changes: Any) -> TriageFacts:
    return TriageFacts(**({"budget_s": 120.0, "seconds": 60.0, "ended": ended} | changes))


def conclusion(*trials: TrialFacts, how: TriageFacts | None) -> str:
    proof = prove(trials, how)
    assert proof is not None
    return " ".join(proof.sentences)


def test_by_heart_is_learning_and_flat_is_not() -> None:
    assert learned(trial(ce=BY_HEART))
    assert not learned(trial(ce=FLAT))


@pytest.mark.parametrize("ce", [(), (nan,) * 40, (*BY_HEART[:-1], nan)])
def test_nothing_that_is_no_number_learns(ce: tuple[float, ...]) -> None:
    assert not learned(trial(ce=ce))


def test_a_crash_does_not_learn_however_far_it_came() -> None:
    assert not learned(trial(ce=BY_HEART, error="RuntimeError: no"))


def test_a_change_must_do_better_than_none() -> None:
    slowly = tuple(CHANCE - n / 60 for n in range(40))
    assert learned(trial(ce=slowly))
    assert not learned(trial(ce=slowly), as_is(slowly))
    assert learned(trial(ce=BY_HEART), as_is(slowly))


def test_a_ce_that_starts_far_above_chance_and_comes_down_to_it_has_learnt_nothing() -> None:
    """A scale that was too large is taken away: CE falls by nats, and the model still guesses."""
    assert not learned(trial(ce=tuple(15 - 12 * min(1, n / 20) for n in range(40))))


def test_to_know_which_labels_the_few_batches_hold_is_not_to_have_learnt_them() -> None:
    """Of 20 identities these hold four: a head that sees nothing comes down to log 4, and there it stays."""
    of_four = guessing_ce([0, 1, 2, 3] * 6)
    assert of_four == pytest.approx(log(4))
    down_to_guessing = tuple(max(log(4), CHANCE * (1 - n / 30)) for n in range(40))
    assert learned(trial(ce=down_to_guessing))
    assert not learned(trial(ce=down_to_guessing, guessing_ce=of_four))
    assert learned(trial(ce=BY_HEART, guessing_ce=of_four))


def test_where_all_labels_are_the_same_nothing_is_learnt_but_what_other_labels_teach_is() -> None:
    same, other = as_is(BY_HEART, guessing_ce=0.0), trial(ce=BY_HEART, guessing_ce=log(4), swaps=("data",))
    assert not learned(same)
    assert learned(other, same)


@pytest.mark.parametrize("labels", [[7], [1, 1, 2], [0, 0, 0, 1, 2, 2, 5]])
def test_guessing_is_the_mean_of_minus_the_log_of_each_labels_share(labels: list[int]) -> None:
    shares = [labels.count(label) / len(labels) for label in labels]
    by_hand = -sum(log(share) for share in shares) / len(labels)
    assert guessing_ce(labels) == pytest.approx(by_hand, abs=1e-12)
    assert exp(by_hand) <= len(set(labels)) + 1e-9
    assert guessing_ce([]) is None


def test_on_the_stream_a_clear_fall_is_enough() -> None:
    slowly = tuple(CHANCE - n / 200 + 0.02 * (-1) ** n for n in range(60))
    stream = {"batches": "stream", "distinct_batches": 60}
    assert learned(trial(ce=slowly, **stream))
    assert not learned(trial(ce=FLAT, **stream))
    assert not learned(trial(ce=slowly[:8], **stream))  # too few steps to tell


def test_the_smallest_change_is_the_proof_and_a_swap_only_where_there_is_no_smaller() -> None:
    recipe = trial("the recipe's lr", BY_HEART, settings=("optimizer.lr=1e-5", "optimizer.groups=[]"))
    constant = trial("a constant lr", BY_HEART, settings=("schedule.name=constant",))
    swap = trial("the reference optimizer", BY_HEART, swaps=("optimizer",))
    proof = prove([as_is(), swap, recipe, constant], end())
    assert proof is not None
    assert proof.flipped is not None
    assert proof.flipped.trial is constant
    assert "CE falls with a constant lr" in proof.sentences[0]
    assert "So it does with the recipe's lr" in proof.sentences[0]
    assert "The fault lies in the optimizer" in conclusion(as_is(), trial(), swap, how=end())


def test_two_changes_that_are_needed_together() -> None:
    both = trial("no clipping and no AMP", BY_HEART, together=2)
    assert "with neither of them alone" in conclusion(as_is(), trial(), both, how=end())


def test_learnt_by_heart_and_not_from_the_stream_speaks_for_the_data() -> None:
    stream = as_is(batches="stream", distinct_batches=40)
    embedded = trial("the embedded data", BY_HEART, batches="stream", distinct_batches=40, swaps=("data",))
    said = conclusion(as_is(BY_HEART), stream, embedded, how=end())
    assert "The fault lies in the data" in said
    assert "learns 5 batches by heart and still does not learn from the stream" in said


def test_nothing_that_flips_is_said() -> None:
    assert "No change made CE fall, so" in conclusion(as_is(), trial(), how=end("exhausted"))
    everything = trial("the reference in everything", swaps=("model", "optimizer"))
    assert "too short to tell" in conclusion(as_is(), trial(), everything, how=end("exhausted"))


def test_what_was_left_out_is_said() -> None:
    out = end("out of budget", untried=("no AMP", "CE alone"))
    assert "The budget of 120 s left out 2: no AMP, CE alone." in conclusion(as_is(), how=out)
    assert "Interrupted" in conclusion(as_is(), how=end("interrupted"))
    assert "killed" in conclusion(as_is(), how=None)
    assert prove([], None) is None


def test_where_ce_fell_too_slowly_a_change_that_does_clearly_better_is_the_mend() -> None:
    slowly = tuple(CHANCE - n / 60 for n in range(40))
    said, lies_in, flipped = replayed(as_is(slowly, **TOLD), trial("a fresh head", BY_HEART), ce_word="slow")
    assert "with a fresh head CE comes down to 0.01 and not to 2.38" in said
    assert (lies_in, flipped) == ((), "a fresh head")


GUESSED, TOLD = {"unseen_rank": 0.51, "unseen": 40}, {"unseen_rank": 0.9, "unseen": 40}


def replayed(*trials: TrialFacts, **facts: str) -> tuple[str, tuple[str, ...], str | None]:
    proof = prove(trials, end("not needed", **({"replayed": True, "ce_word": "flat"} | facts)))
    assert proof is not None
    return " ".join(proof.sentences), proof.lies_in, proof.flipped.trial.name if proof.flipped is not None else None


def test_what_learns_in_a_plain_loop_has_its_fault_in_the_loop_where_ce_failed_in_the_training() -> None:
    said, lies_in, flipped = replayed(as_is(BY_HEART, **TOLD))
    assert "The fault lies in the loop" in said
    assert (lies_in, flipped) == (("loop",), None)
    said, lies_in, _ = replayed(as_is(BY_HEART, **TOLD), ce_word="short")
    assert "CE does not show so early" in said
    assert lies_in == ()
    said, lies_in, _ = replayed(as_is(BY_HEART, **TOLD), ce_word="slow")
    assert "learning by heart does not ask how fast" in said
    assert lies_in == ()
    said, lies_in, _ = replayed(as_is(BY_HEART))
    assert "Or it lies in the data" in said
    assert lies_in == ()


def test_the_data_are_blamed_only_where_other_data_teach_what_theirs_do_not() -> None:
    others = trial("the embedded data", BY_HEART, swaps=("data",), **TOLD)
    said, lies_in, flipped = replayed(as_is(BY_HEART, **GUESSED), others)
    assert "The fault lies in the data" in said
    assert "with the embedded data it is 90%" in said
    assert (lies_in, flipped) == (("data",), "the embedded data")
    proof = prove([as_is(BY_HEART, **GUESSED), others], end("not needed", replayed=True))
    assert proof is not None
    assert [outcome.learned for outcome in proof.outcomes] == [True, True]
    no_better = trial("the embedded data", BY_HEART, swaps=("data",), **GUESSED)
    said, lies_in, flipped = replayed(as_is(BY_HEART, **GUESSED), no_better)
    assert "So few batches may teach nothing that goes beyond them" in said
    assert (lies_in, flipped) == ((), None)


def test_the_loop_is_not_blamed_where_a_finding_says_that_it_is_the_data() -> None:
    """Within few batches labels and images may go together, and not from one to the next."""
    for code in ("RS117", "RS120", "RS211"):
        for seen in (TOLD, {}):
            said, lies_in, _ = replayed(as_is(BY_HEART, **seen), first_cause=code)
            assert f"{code} speaks for the data" in said
            assert "lies in the loop" not in said
            assert lies_in == ()
    assert replayed(as_is(BY_HEART, **TOLD), first_cause="RS306")[1] == ("loop",)


LATER = tuple(max(0.01, CHANCE * (1 - n / 60) - 0.02 * max(0, n - 20)) for n in range(40))  # ends at 0.7
SOONER = tuple(max(0.6, CHANCE * (1 - n / 15)) for n in range(40))


def test_where_the_training_was_slow_the_mend_of_the_first_cause_may_also_be_sooner() -> None:
    mend = trial("every module in training mode", SOONER, for_cause=True, **TOLD)
    said, _, flipped = replayed(as_is(LATER, **TOLD), mend, ce_word="slow", first_cause="RS507")
    assert flipped == "every module in training mode"
    assert "CE is down sooner, 0.99 in the mean over 40 steps and not 1.93" in said
    assert replayed(as_is(LATER, **TOLD), mend, ce_word="flat", first_cause="RS507")[2] is None
    anything = trial("a larger lr", SOONER, **TOLD)
    assert replayed(as_is(LATER, **TOLD), anything, ce_word="slow", first_cause="RS507")[2] is None


def test_a_slow_training_that_is_learnt_with_its_first_cause_in_it_proves_nothing() -> None:
    no_better = trial("their optimizer rebuilt", BY_HEART, for_cause=True, **TOLD)
    said, lies_in, flipped = replayed(as_is(BY_HEART, **TOLD), no_better, ce_word="slow", first_cause="RS411")
    assert "with what RS411 found in them" in said
    assert "lies in the loop" not in said
    assert (lies_in, flipped) == ((), None)


def test_what_makes_ce_fall_where_the_first_causes_own_mend_does_not_is_said_so() -> None:
    rebuilt = trial("their optimizer rebuilt", for_cause=True)
    said, _, flipped = replayed(as_is(), rebuilt, trial("another lr", BY_HEART), first_cause="RS411")
    assert flipped == "another lr"
    assert "What RS411 found is not all: with their optimizer rebuilt alone CE does not fall." in said
    said, _, flipped = replayed(as_is(), trial("another lr", BY_HEART, for_cause=True), first_cause="RS401")
    assert "is not all" not in said


def test_what_no_trial_tells_of_unseen_images_does_not_stand_against_the_first_causes_mend() -> None:
    slowly = as_is(tuple(CHANCE - n / 25 for n in range(40)), **GUESSED)
    assert replayed(slowly, trial("everything unfrozen", BY_HEART, **GUESSED), ce_word="rises")[2] is None
    named = trial("everything unfrozen", BY_HEART, for_cause=True, **GUESSED)
    assert replayed(slowly, named, ce_word="rises", first_cause="RS511")[2] == "everything unfrozen"


def test_a_change_that_does_clearly_better_than_what_learns_by_heart_is_the_mend() -> None:
    slowly = as_is(tuple(CHANCE - n / 25 for n in range(40)), **GUESSED)
    said, _, flipped = replayed(slowly, trial("a constant lr", BY_HEART, **TOLD))
    assert "with a constant lr CE comes down to 0.01 and not to 1.52, and of images kept aside" in said
    assert "above 90% of the others and not above 51%" in said
    assert flipped == "a constant lr"
    said, _, flipped = replayed(as_is(BY_HEART, **GUESSED), trial("a constant lr", BY_HEART, **TOLD))
    assert "with a constant lr of images kept aside" in said
    assert flipped == "a constant lr"
    by_heart_alone = trial("a constant lr", BY_HEART, **GUESSED)
    assert replayed(slowly, by_heart_alone)[2] is None
    swap = trial("the reference model", BY_HEART, swaps=("model",))
    assert "the fault lies in the model" in replayed(slowly, swap, ce_word="slow")[0]
    assert replayed(as_is(BY_HEART, **TOLD), trial("a constant lr", BY_HEART, **TOLD))[1:] == (("loop",), None)
