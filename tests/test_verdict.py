"""Curve + findings -> verdict, on hand-made ledgers."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import pytest

from reid_smoke import verdict as module
from reid_smoke.checks.catalogue import CheckResult, run_checks
from reid_smoke.facts import AnyFact, CrashFacts, EndFacts, RunFacts, UnreadableFacts
from reid_smoke.ledger import Ledger
from reid_smoke.rule import Curve
from reid_smoke.verdict import Verdict, judge
from tests.test_rule import dataset, line, step

RUN = RunFacts(way_in="run", name="made")
FALLS = line(5.99, 2.3)


def unreadable(count: int) -> list[AnyFact]:
    return [UnreadableFacts(path=f"{i}.jpg", reason="truncated") for i in range(count)]


def verdict_of(*facts: AnyFact, ces: list[float], ended: bool = True) -> Verdict:
    return judge(Ledger.of([*facts, *(step(i, ce) for i, ce in enumerate(ces, start=1))]), ended=ended).verdict


def test_a_fall_under_the_bar_is_a_go_and_says_how_many_are_in_play() -> None:
    judgement = judge(Ledger.of([RUN, dataset(), *(step(i, ce) for i, ce in enumerate(FALLS, start=1))]), ended=False)
    verdict = judgement.verdict
    assert (verdict.word, verdict.certain, judgement.exit_code) == ("GO", True, 0)
    assert verdict.reason == (
        "CE is 2.92 over steps 200 to 300, under the bar of 5.60 and falling: 18 of 400 identities are still in play."
    )


def test_flat_at_chance_is_a_no_go() -> None:
    judgement = judge(Ledger.of([RUN, dataset(), *(step(i, 5.99) for i in range(1, 301))]), ended=False)
    assert (judgement.verdict.word, judgement.verdict.certain, judgement.exit_code) == ("NO-GO", True, 1)
    assert "CE is 5.99; chance is log 400 = 5.99." in judgement.verdict.reason


def test_too_slow_names_the_cause_and_the_step_where_it_would_cross() -> None:
    facts = [RUN, dataset(), *(step(i, ce) for i, ce in enumerate(line(5.99, 5.79), start=1))]
    judgement = judge(Ledger.of(facts), ended=False)
    assert judgement.verdict.word == "NO-GO"
    fired = {r.check.code: r.finding.evidence for r in judgement.results if r.finding}
    assert list(fired) == ["RS203"]
    assert "crosses at step 58" in fired["RS203"]


def test_no_numbers_any_more_is_a_no_go_before_the_window_closes() -> None:
    verdict = verdict_of(RUN, dataset(), ces=[5.99, 7.0, nan, nan, nan], ended=False)
    assert (verdict.word, verdict.certain) == ("NO-GO", True)


def test_before_the_window_closes_nothing_is_certain() -> None:
    verdict = verdict_of(RUN, dataset(), ces=FALLS[:299], ended=False)
    assert (verdict.word, verdict.certain) == ("UNKNOWN", False)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (EndFacts(step=120, how="interrupted", startup_s=1, train_s=1, images_per_s=1, data_wait_share=0),
         "Interrupted: 120 of the 300 steps that a verdict needs were seen."),
        (CrashFacts(step=120, exception="RuntimeError", message="boom", where="a.py:1"),
         "The training crashed with RuntimeError at step 121: 120 of the 300 steps that a verdict needs were seen."),
        (EndFacts(step=120, how="finished", startup_s=1, train_s=1, images_per_s=1, data_wait_share=0),
         "120 of the 300 steps that a verdict needs were seen."),
    ],
)  # fmt: skip
def test_too_few_steps_are_unknown_and_say_how_it_ended(end: AnyFact, reason: str) -> None:
    facts = [RUN, dataset(), *(step(i, ce) for i, ce in enumerate(FALLS[:120], start=1)), end]
    judgement = judge(Ledger.of(facts), ended=True)
    assert (judgement.verdict.word, judgement.verdict.certain, judgement.exit_code) == ("UNKNOWN", True, 3)
    assert judgement.verdict.reason == reason


def test_a_watched_training_that_ended_early_ended_by_itself() -> None:
    run = RUN.model_copy(update={"way_in": "watch"})
    end = EndFacts(step=15, how="finished", startup_s=1, train_s=1, images_per_s=1, data_wait_share=0)
    verdict = verdict_of(run, dataset(), end, ces=FALLS[:15])
    assert verdict.reason == "The training ended by itself: 15 of the 300 steps that a verdict needs were seen."


def test_nothing_seen_at_all_is_unknown() -> None:
    assert verdict_of(RUN, ces=[]).word == "UNKNOWN"
    assert verdict_of(ces=[]).word == "UNKNOWN"


def test_a_handful_of_steps_is_unknown_whatever_the_window() -> None:
    verdict = verdict_of(RUN.model_copy(update={"window": (1, 2)}), dataset(), ces=[5.99, 0.1])
    assert verdict.word == "UNKNOWN"
    assert verdict.reason == "2 of the 10 steps that a verdict needs were seen."


def test_a_fatal_fault_beats_all_and_at_once() -> None:
    """A label out of range, while CE passes and images are missing; and before the first step."""
    wrong = dataset().model_copy(update={"labels_out_of_range": 3, "label_max": 400})
    for ces in (FALLS, []):
        verdict = verdict_of(RUN, wrong, *unreadable(500), ces=ces, ended=False)
        assert (verdict.word, verdict.certain) == ("NO-GO", True)
        assert verdict.reason.startswith("A label lies outside 0..C-1.")


@pytest.mark.parametrize(("bad", "word"), [(0, "GO"), (32, "GO"), (33, "UNKNOWN")])
def test_over_one_image_in_a_hundred_unreadable_is_unknown(bad: int, word: str) -> None:
    """Of 3200 images, all tried. Each file counts once, however often it is told."""
    verdict = verdict_of(RUN, dataset(), *unreadable(bad), *unreadable(bad), ces=FALLS)
    assert verdict.word == word
    if word == "UNKNOWN":
        assert verdict.reason.startswith("1.0% of the images could not be read")


def test_with_too_many_unreadable_images_a_flat_curve_is_unknown_too() -> None:
    verdict = verdict_of(RUN, dataset(), *unreadable(100), ces=[5.99] * 300)
    assert (verdict.word, verdict.certain) == ("UNKNOWN", True)


def test_unreadable_images_count_against_those_tried() -> None:
    """Two of the first 100 steps' 64 images each are few; two of the first 2 steps' are over one in a hundred."""
    many = verdict_of(RUN, dataset(), *unreadable(2), ces=FALLS[:100])
    few = verdict_of(RUN, dataset(), *unreadable(2), ces=FALLS[:2])
    assert "could not be read" not in many.reason
    assert "could not be read" in few.reason


def test_a_check_that_crashed_is_no_go(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_crashes(ledger: Ledger, curve: Curve) -> list[CheckResult]:
        results = run_checks(ledger, curve)
        place = next(i for i, r in enumerate(results) if r.check.severity == "fatal")
        results[place] = replace(results[place], status="error", error="KeyError: 'lost'")
        return results

    monkeypatch.setattr(module, "run_checks", one_crashes)
    verdict = verdict_of(RUN, dataset(), ces=FALLS)
    assert verdict.word == "UNKNOWN"
    assert "crashed, and a fault may hide behind that" in verdict.reason
    assert verdict_of(RUN, dataset(), ces=[5.99] * 300).word == "NO-GO"  # what is certain stays certain
