"""The other ranks' files: read as they grow, condensed, and never taken for those of another training."""

from __future__ import annotations

import os
import time
from math import nan
from pathlib import Path

import pytest

from reid_smoke.facts import CrashFacts, EndFacts, LoaderFacts, RankEndFacts, RankFacts, RankStartFacts, StepFacts
from reid_smoke.ledger import Ledger
from reid_smoke.rank_files import OtherRanks, is_of_a_peer, open_rank_ledger, rank_file
from tests.report.ledgers import step_facts


def far_off() -> RankStartFacts:
    """It starts now: a file that was begun a minute before its training is another training's."""
    return RankStartFacts(rank=1, ranks=2, host="elsewhere", pid=1, started=time.time())


def steps(first: int, last: int) -> list[StepFacts]:
    return [step_facts(number, 5.0) for number in range(first, last + 1)]


def told(ledger: Ledger) -> list[int]:
    return [fact.step for fact in ledger.all(RankFacts)]


def write(path: Path, *facts: object, mode: str = "w") -> None:
    with path.open(mode) as file:
        file.writelines(fact.model_dump_json() + "\n" for fact in facts)  # type: ignore[attr-defined]


def test_a_file_is_read_as_it_grows(tmp_path: Path) -> None:
    ledger, others = Ledger(), OtherRanks(tmp_path, 2, time.time())
    others.read_into(ledger)  # not there yet
    path = rank_file(tmp_path, 1)
    write(path, far_off(), LoaderFacts(epoch=1, batches_promised=7, batches_given=1, finished=False), *steps(1, 14))
    with path.open("a") as file:
        torn = step_facts(15, 5.0).model_dump_json() + "\n"
        file.write(torn[:40])
    others.read_into(ledger)
    assert told(ledger) == list(range(1, 11))
    with path.open("a") as file:
        file.write(torn[40:])
    write(path, *steps(16, 23), mode="a")
    others.read_into(ledger)
    assert told(ledger) == [*range(1, 11), 20]
    write(path, EndFacts.unmeasured(23, "finished"), mode="a")
    others.finish_into(ledger)
    assert told(ledger) == [*range(1, 11), 20, 23]
    last = ledger.last(RankFacts)
    assert last is not None
    assert (last.updates, last.images, last.batches_promised) == (23, sum(s.batch for s in steps(1, 23)), 7)
    assert ledger.last(RankEndFacts) == RankEndFacts(rank=1, step=23, how="finished")


def test_what_is_new_is_told_between_the_tenths(tmp_path: Path) -> None:
    ledger = Ledger()
    odd = step_facts(14, 5.0).model_copy(update={"batch": 3})
    write(
        rank_file(tmp_path, 1), far_off(), *steps(1, 13), odd, step_facts(15, 5.0), step_facts(16, nan), *steps(17, 19)
    )
    OtherRanks(tmp_path, 2, time.time()).read_into(ledger)
    assert told(ledger)[10:] == [14, 15, 16, 17]


def test_an_earlier_training_is_read_over(tmp_path: Path) -> None:
    ledger, path = Ledger(), rank_file(tmp_path, 1)
    others = OtherRanks(tmp_path, 2, time.time())
    write(path, far_off().model_copy(update={"started": time.time() - 3600}), *steps(1, 40))
    others.read_into(ledger)
    assert told(ledger) == []
    write(path, far_off().model_copy(update={"pid": 2}), *steps(1, 50))
    others.read_into(ledger)
    assert told(ledger) == [*range(1, 11), 20, 30, 40, 50]


def test_how_a_rank_ended_without_a_word(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        open_rank_ledger(tmp_path, 1, 4)
        os._exit(0)
    while not rank_file(tmp_path, 1).exists() or not rank_file(tmp_path, 1).read_bytes():
        time.sleep(0.01)
    open_rank_ledger(tmp_path, 2, 4)  # this very process, which goes on
    ledger = Ledger()
    OtherRanks(tmp_path, 4, time.time()).finish_into(ledger, patience=0.3)  # the child is a zombie, or was one
    os.waitpid(child, 0)
    assert {fact.rank: fact.how for fact in ledger.all(RankEndFacts)} == {1: "killed", 2: "running", 3: "unheard"}


@pytest.mark.parametrize(
    ("message", "own"),
    [
        ("Target 118 is out of bounds.", True),
        ("CUDA out of memory. Tried to allocate 2 GiB", True),
        ("[pair.cc:561] Connection closed by peer [127.0.0.1]:28596.", False),
        ("NCCL communicator was aborted on rank 0.", False),
    ],
)
def test_a_crash_of_its_own_takes_the_place_of_one_that_followed_from_it(
    tmp_path: Path, message: str, own: bool
) -> None:
    crash = CrashFacts(step=7, exception="RuntimeError", message=message, where="train.py:3")
    assert is_of_a_peer(crash) is not own
    followed = crash.model_copy(update={"message": "Connection reset by peer", "where": "train.py:9"})
    ledger = Ledger.of([followed])
    write(rank_file(tmp_path, 1), far_off(), *steps(1, 7), crash, EndFacts.unmeasured(7, "crashed"))
    OtherRanks(tmp_path, 2, time.time()).finish_into(ledger)
    assert ledger.last(CrashFacts) == (crash.model_copy(update={"rank": 1}) if own else followed)
