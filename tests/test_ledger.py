"""Facts on their way to a file and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_smoke.errors import CouldNotJudge
from reid_smoke.facts import CrashFacts, EndFacts, UnreadableFacts, fact_from_json
from reid_smoke.ledger import Ledger
from tests.report.ledgers import end_facts, step_facts

numbers = st.floats(allow_nan=False)
END = EndFacts(step=3, how="finished", startup_s=1.0, train_s=2.0, images_per_s=3.0, data_wait_share=0.0)


@given(numbers, numbers, st.sampled_from(["finished", "stopped", "interrupted", "crashed"]))
def test_a_fact_comes_back_as_it_went(one: float, other: float, how: str) -> None:
    fact = EndFacts.model_validate(
        {"step": 7, "how": how, "startup_s": one, "train_s": other, "images_per_s": 0.0, "data_wait_share": 1.0}
    )
    line = fact.model_dump_json()
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert fact_from_json(line) == fact


def test_not_a_number_survives() -> None:
    line = END.model_copy(update={"train_s": float("nan")}).model_dump_json()
    assert "NaN" in line
    back = fact_from_json(line)
    assert isinstance(back, EndFacts)
    assert back.train_s != back.train_s


@pytest.mark.parametrize(
    ("how", "place", "made"),
    [
        ("finished", {"epoch": 2, "step_in_epoch": 4}, 12),  # the last two were left out by who measures
        ("stopped", {"epoch": 2, "step_in_epoch": 4}, 12),
        ("interrupted", {"epoch": 2, "step_in_epoch": 4}, 10),  # what was torn off was not made
        ("crashed", {"epoch": 2, "step_in_epoch": 4}, 10),
        ("finished", {}, 10),  # of an earlier version, which did not say where in the epoch
    ],
)
def test_the_last_step_may_have_been_left_out(how: str, place: dict[str, int], made: int) -> None:
    ledger = Ledger.of([step_facts(10, 5.9), end_facts(12, how=how, **place)])
    assert ledger.done == made
    assert Ledger.of([end_facts(12, how=how, **place)]).done == 0


def test_lines_are_readable_while_it_is_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "facts.jsonl")
    ledger.add(END)
    assert Ledger.read(tmp_path / "facts.jsonl").last(EndFacts) == END
    ledger.close()


def test_a_torn_line_and_a_kind_from_the_future_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl"
    path.write_text(END.model_dump_json() + '\n{"kind": "telepathy"}\n' + END.model_dump_json()[:30])
    ledger = Ledger.read(path)
    assert ledger.unread_lines == 2
    assert ledger.all(EndFacts) == [END]


def test_a_name_that_is_no_text_does_not_stop_the_writing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "facts.jsonl")
    ledger.add(UnreadableFacts(path="0002_\udcff.jpg", reason="truncated"))
    ledger.add(END)
    back = Ledger.read(tmp_path / "facts.jsonl")
    assert len(back.all(UnreadableFacts)) == 1
    assert back.unread_lines == 0


@pytest.mark.parametrize("text", [None, "", "a log of another tool\n"])
def test_what_is_no_ledger_is_said_to_be_none(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "facts.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(CouldNotJudge, match=r"facts\.jsonl"):
        Ledger.read(path)


def test_subscribers_hear_what_comes_after(tmp_path: Path) -> None:
    ledger, heard = Ledger(), []
    ledger.add(END)
    ledger.subscribe(heard.append)
    crash = CrashFacts(step=1, exception="IndexError", message="", where="train.py:3")
    ledger.add(crash)
    assert heard == [crash]
