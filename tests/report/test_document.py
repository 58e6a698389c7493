from __future__ import annotations

from math import nan

import pytest

from reid_smoke.facts import ProbeFault
from reid_smoke.report.document import Report
from tests.report.ledgers import CASES, case, crash, interrupted, not_a_number, stuck

DESIGNED = {  # the keys of design.md: only ever added to
    "": "schema_version verdict reason rule ce steps_per_epoch global_step findings checks trials environment timing",
    "rule": "num_classes chance_ce max_ce window",
    "ce": "first window_mean last trend_per_100_steps curve",
    "checks": "passed failed skipped errored",
    "timing": "startup_s train_s images_per_s data_wait_share",
}


@pytest.mark.parametrize(("part", "keys"), DESIGNED.items())
def test_the_designed_keys_are_there(part: str, keys: str) -> None:
    document = stuck().report.model_dump(mode="json")
    assert set(keys.split()) <= set(document[part] if part else document)


def test_a_finding_has_the_designed_keys() -> None:
    finding = stuck().report.model_dump(mode="json")["findings"][0]
    assert {"code", "slug", "title", "severity", "step", "evidence", "mend", "primary"} <= set(finding)


def test_the_first_cause_comes_first_and_names_what_follows() -> None:
    cause, follows, warning = stuck().report.findings
    assert (cause.code, cause.primary, cause.because_of) == ("RS405", True, None)
    assert (follows.code, follows.primary, follows.because_of) == ("RS210", False, "RS405")
    assert (warning.severity, warning.primary) == ("warn", False)


def test_a_warning_alone_is_no_first_cause() -> None:
    warning = [r for r in stuck().results if r.status == "warn"]
    assert case("GO", "", lambda step: 1.0, 300, results=warning).report.primary is None


def test_checks_are_counted_apart() -> None:
    counts = not_a_number().report.checks
    assert (counts.passed, counts.failed, counts.warned, counts.skipped, counts.errored) == (9, 2, 0, 8, 1)
    assert [entry.error for entry in counts.results if entry.error] == ["KeyError: 'bn_neck'"]


def test_identities_in_play_are_bounded_by_chance_and_by_one() -> None:
    def in_play(ce: float) -> int | None:
        return case("NO-GO", "", lambda step: ce, 300).report.rule.identities_in_play

    assert [in_play(ce) for ce in (15.0, 5.6, 0.001, nan)] == [400, 270, 1, None]


def test_what_is_no_number_is_null_and_dated() -> None:
    ce = not_a_number().report.ce
    assert ce.not_finite_at == 83
    assert ce.curve[81][1] is not None
    assert ce.curve[82] == (83, None)
    assert ce.last is None


def test_a_killed_run_takes_its_timing_from_its_steps() -> None:
    report = interrupted().report
    assert report.ended == "killed"
    assert report.timing.startup_s is None
    assert report.timing.train_s == pytest.approx(140 * 0.124)
    assert report.timing.images_per_s == pytest.approx(8 / 0.124)
    assert report.timing.data_wait_share == pytest.approx(0.004 / 0.124)


def test_a_crash_is_told_with_its_place() -> None:
    told = crash().report.crash
    assert told is not None
    assert told.where == "my_pkg/models/head.py:31"


def test_what_is_missing_is_noted_once() -> None:
    base = stuck()
    for step in (3, 4):
        base.ledger.add(ProbeFault(step=step, probe="graph", message="no log-softmax"))
    base.ledger.write_error = "facts.jsonl: No space left on device"
    base.ledger.unread_lines = 1
    assert base.report.notes == (
        "The facts could not all be written (facts.jsonl: No space left on device): make room before the next run.",
        "1 line of facts.jsonl could not be read and was left out.",
        "The probe graph failed at step 3 (no log-softmax): what it measures is missing.",
    )


@pytest.mark.parametrize("name", CASES)
def test_the_document_survives_its_own_json(name: str) -> None:
    report = CASES[name]().report
    assert Report.model_validate_json(report.model_dump_json()) == report
