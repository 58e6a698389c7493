"""Trainings in processes that the script starts by torch.multiprocessing: judged as under torchrun, and left alone.

Most fork, where only the script itself has to import torch; what is told to a fresh interpreter is tried with spawn.
"""

from __future__ import annotations

import json
import pickle
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import reid_smoke
from reid_smoke.facts import (
    AnyFact,
    CrashFacts,
    EndFacts,
    GroupFacts,
    LoopFacts,
    ProbeFault,
    RankStartFacts,
    RunFacts,
    StartedFacts,
)
from reid_smoke.folder import PROCESSES, make_run_folder
from reid_smoke.launched import Launched
from reid_smoke.ledger import Ledger
from reid_smoke.rank_files import rank_file
from reid_smoke.report.past import read_past_run
from reid_smoke.watch.in_child import SPAWN, InChild, Plan
from tests.warm import Warm
from tests.watch.both import ENVIRONMENT, run_both, watch, write

TOGETHER = """
import os
import sys
import torch.distributed as dist
import torch.multiprocessing as mp
from tests.watch.together import TogetherTraining

class Training(TogetherTraining):
    def head_parameters(self):
        return [] if "sick" in sys.argv else super().head_parameters()

    def loss(self, images, labels):
        if "crash" in sys.argv and dist.get_rank() == 1 and self.step_number == 20:
            labels = labels + 100
        return super().loss(images, labels)

def main_worker(index, ranks, meeting):
    dist.init_process_group("gloo", init_method=meeting, rank=index, world_size=ranks)
    training = Training()
    training.train()
    total = sum(p.detach().double().sum() for p in training.model.parameters())
    sys.stdout.write(f"rank {dist.get_rank()} weights {total.item()}\\n")
    sys.stdout.flush()
    dist.destroy_process_group()

if __name__ == "__main__":
    arguments = (2, f"file://{os.getcwd()}/meeting-{os.getpid()}")
    if "spawn" in sys.argv:
        mp.spawn(main_worker, args=arguments, nprocs=2)
    else:
        mp.start_processes(main_worker, args=arguments, nprocs=2, start_method="fork")
    print("the script goes on")
"""


def read(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def test_ranks_that_are_spawned_are_judged_as_one_training(warm: Warm, tmp_path: Path) -> None:
    write(tmp_path, train=TOGETHER)
    ended = watch(warm, tmp_path, "--window", "30:45", "--out", "out", "train.py", "spawn")
    first, second, third = ended.out.splitlines()
    assert {first[:7], second[:7]} == {"rank 0 ", "rank 1 "}
    assert first.split()[3] == second.split()[3]  # they trained together
    assert third == "the script goes on"
    assert ended.code == 0, ended.err
    assert ended.err.count("reid-smoke: GO: ") == 1  # while they trained
    assert ended.err.count("GO  reid-smoke watch --window 30:45 --out out train.py spawn") == 1
    found = read(tmp_path / "out")
    assert (found["verdict"], found["global_step"], found["findings"], found["notes"]) == ("GO", 50, [], [])
    assert [(r["rank"], r["step"], r["batch"], r["ended"]) for r in found["ranks"]] == [
        (0, 50, 16, "finished"),
        (1, 50, 16, "finished"),
    ]
    checked = {check["code"]: check["status"] for check in found["checks"]["results"] if check["code"][:3] == "RS6"}
    assert {code for code, status in checked.items() if status != "pass"} == {"RS604"}  # which waits for a crash
    assert found["environment"]["device"] == "cpu"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "facts-rank1.jsonl", "facts.jsonl", "junit.xml", "report.html", "report.json",
    ]  # fmt: skip


def test_their_first_cause_is_named_and_trials_are_not_had(warm: Warm, tmp_path: Path) -> None:
    write(tmp_path, train=TOGETHER)
    ended = watch(warm, tmp_path, "--window", "30:45", "--out", "out", "--triage", "--stop", "train.py", "sick")
    assert ended.code == 1, ended.err
    assert ended.err.count("RS302 head-not-in-optimizer: ") == 1  # while they trained
    assert ended.err.count("--stop is left out") == 1
    assert ended.out.endswith("the script goes on\n")
    found = read(tmp_path / "out")
    assert next(finding["code"] for finding in found["findings"] if finding["primary"]) == "RS302"
    assert "in processes that the script started" in json.dumps(found["proof"])
    assert len(found["ranks"]) == 2


def test_a_crash_in_one_is_named(warm: Warm, tmp_path: Path) -> None:
    write(tmp_path, train=TOGETHER)
    ended = watch(warm, tmp_path, "--out", "out", "train.py", "crash")
    assert ended.code == 1
    assert "terminated with the following error:" in ended.err
    assert ended.err.count("NO-GO  reid-smoke watch --out out train.py crash") == 1
    found = read(tmp_path / "out")
    assert next(finding["code"] for finding in found["findings"] if finding["primary"]) == "RS101"
    assert (found["crash"]["exception"], found["crash"]["rank"]) == ("IndexError", 1)
    assert found["ranks"][0]["ended"] in ("interrupted", "crashed")  # by torch, or since its peer was gone
    assert found["ranks"][1]["ended"] == "crashed"


ENDS = """
import os
import signal
import sys
import time
import torch
import torch.multiprocessing as mp

def end(index, how):
    if index == 0:
        time.sleep(30 if how in ("raise", "label", "exit", "text", "signal", "gone", "empty") else 0)
    elif how == "raise":
        try:
            {}["a"]
        except KeyError:
            raise ValueError("of the child")
    elif how == "label":
        torch.nn.functional.cross_entropy(torch.zeros(2, 3, requires_grad=True), torch.tensor([1, 7])).backward()
    elif how == "empty":
        next(iter(()))
    elif how == "exit":
        sys.exit(5)
    elif how == "text":
        sys.exit("a text")
    elif how == "gone":
        os._exit(7)
    elif how == "signal":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "interrupt":
        raise KeyboardInterrupt
    elif how == "leave":
        sys.exit(0)
    elif how == "look":
        frame = sys._getframe(1)
        print(frame.f_code.co_name, os.path.basename(frame.f_code.co_filename), sys.argv[1:], flush=True)
        print(signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), mp.current_process().name, flush=True)

if __name__ == "__main__":
    for how in ("raise", "label", "empty", "exit", "text", "gone", "signal", "interrupt", "leave", "look"):
        try:
            print(how, mp.start_processes(end, args=(how,), nprocs=2, start_method="fork"), flush=True)
        except Exception as error:
            print(how, type(error), error, error.error_index, getattr(error, "exit_code", ""), flush=True)
    try:
        mp.spawn(lambda index: None)
    except Exception as error:
        print(type(error), error)
    context = mp.start_processes(end, ("wait",), 1, False, start_method="fork")
    print(type(context), len(context.pids()), context.join(), context.join())
    context = mp.start_processes(end, ("raise",), 1, False, True, "fork")
    print([process.daemon for process in context.processes], flush=True)
"""


def test_they_end_as_under_python(tmp_path: Path) -> None:
    write(tmp_path, script=ENDS)
    ended = run_both(tmp_path, "script.py", "word")
    assert ended.watch.out == ended.python.out
    assert [line.split()[0] for line in ended.python.out.splitlines() if "<class" in line][:7] == [
        "raise", "label", "empty", "exit", "text", "gone", "signal",
    ]  # fmt: skip
    assert "IndexError: Target 7 is out of bounds" in ended.python.out
    assert "_wrap spawn.py ['word']" in ended.python.out
    assert (ended.python.code, ended.watch.code) == (0, 1)  # of the label out of range
    python, under_watch = (
        [re.sub(r"^W\d{4}.*?\]|process \d+", "", line) for line in end.err.splitlines()]
        for end in (ended.python, ended.watch)
    )
    assert under_watch[: len(python)] == python


APART = """
import sys
import time
import torch.multiprocessing as mp
from tests.checks.tiny import TinyTraining

class Training(TinyTraining):
    steps = 50

def train(index, seconds):
    time.sleep(seconds)
    Training().train()

def prepare(index):
    print("prepared", index, flush=True)

def own(index):
    import reid_smoke
    with reid_smoke.watch(window=(30, 45), out="own", say=print) as watched:
        Training().train()
    print(watched.report.verdict, flush=True)

def start(function, *args, join=True, processes=1):
    mp.start_processes(function, args, processes, join, start_method="fork")

if __name__ == "__main__":
    what = sys.argv[1]
    if what == "processes":
        start(prepare, processes=2)
        start(train, 0, processes=2)
    elif what == "script":
        start(prepare)
        Training.steps = 10
        start(train, 0)
        Training.steps = 50
        Training().train()  # last: what OpenMP has begun does not outlive a fork
    elif what == "not waited for":
        start(train, 1, join=False)
    elif what == "in code":
        import reid_smoke
        with reid_smoke.watch(window=(30, 45), out="out") as watched:
            start(train, 0)
        print(watched.report.verdict, watched.report.global_step, watched.folder.name)
    elif what == "own":
        start(own)
    elif what == "fault":
        from reid_smoke.probes.observer import Observer
        del Observer.zeroed  # which the hooks of a process ask for as they are put up
        start(train, 0)
    print("over")
"""


@pytest.mark.parametrize(
    ("what", "note"),
    [
        ("processes", "2 processes trained, and not as the ranks of one process group"),
        ("script", "for 50 steps in its own process and for 10 in processes that it started; the longer"),
        ("not waited for", ""),
    ],
)
def test_judged_is_where_the_training_is(warm: Warm, tmp_path: Path, what: str, note: str) -> None:
    write(tmp_path, train=APART)
    ended = watch(warm, tmp_path, "--window", "30:45", "--out", "out", "train.py", what)
    assert ended.out.endswith("over\n")
    assert ended.code == 0, ended.err
    found = read(tmp_path / "out")
    assert (found["verdict"], found["ended"], found["global_step"], found["ranks"]) == ("GO", "finished", 50, [])
    assert note in "".join(found["notes"])
    assert len(found["notes"]) == bool(note)
    assert Ledger.read(tmp_path / "out" / "facts.jsonl").steps[-1].step == 50  # to be judged again


def test_a_fault_of_ours_leaves_the_rest_of_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **named: object) -> None:
        raise RuntimeError("torn")

    monkeypatch.setattr(Launched, "judged", broken)
    with reid_smoke.watch(out=tmp_path) as watched:
        pass
    assert watched.report is not None
    assert [note for note in watched.report.notes if "torn" in note]


def test_in_code_too(warm: Warm, tmp_path: Path) -> None:
    write(tmp_path, train=APART)
    ended = warm.run("train", "in code", cwd=tmp_path, environment=ENVIRONMENT)
    assert ended.stdout == "GO 50 out\nover\n"
    assert ended.stderr.count("reid-smoke: GO: ") == 1


def test_a_fault_of_ours_in_there_is_told_and_they_train_on(warm: Warm, tmp_path: Path) -> None:
    write(tmp_path, train=APART)
    ended = watch(warm, tmp_path, "--out", "out", "train.py", "fault")
    assert (ended.out, ended.code) == ("over\n", 3)
    assert "1 of 1 processes that the script started were not watched (AttributeError" in "".join(
        read(tmp_path / "out")["notes"]
    )


def test_a_watch_of_their_own_in_there_goes_before_ours(warm: Warm, tmp_path: Path) -> None:
    write(tmp_path, train=APART)
    ended = watch(warm, tmp_path, "train.py", "own")
    assert ended.out.splitlines()[-2:] == ["GO", "over"]
    assert (ended.code, read(tmp_path / "own")["verdict"]) == (3, "GO")


def test_who_would_not_find_us_gets_torchs_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torchs = import_module(SPAWN)
    original = torchs._wrap
    with reid_smoke.watch(out=tmp_path):
        assert isinstance(torchs._wrap, InChild)
        assert isinstance(pickle.loads(pickle.dumps(torchs._wrap)), InChild)
        monkeypatch.setattr(sys, "meta_path", [])
        text = pickle.dumps(torchs._wrap)
    monkeypatch.undo()
    assert pickle.loads(text) is original is torchs._wrap


# --- what they have written, without processes ---


def started(folder: Path, index: int, *facts: AnyFact, processes: int = 2) -> None:
    (folder / "1").mkdir(parents=True, exist_ok=True)
    ledger = Ledger(rank_file(folder / "1", index))
    ledger.add(RankStartFacts(rank=index, ranks=processes))
    for fact in facts:
        ledger.add(fact)
    ledger.close()


LOOP = LoopFacts(step=0, backwards=0, other_backwards=7, optimizer_steps=7, skipped_by_scaler=0, zero_grads=7)
FINISHED = EndFacts.unmeasured(0, "finished")


def test_ranks_of_other_machines_are_told(tmp_path: Path) -> None:
    launched = Launched(tmp_path, since=0.0)
    assert launched.add(2) == 1
    started(tmp_path, 0, GroupFacts(rank=4, ranks=8), LOOP, FINISHED)
    started(tmp_path, 1, GroupFacts(rank=5, ranks=8), FINISHED)
    judged, notes = launched.judged(Ledger.of([FINISHED]), failed=False)
    assert judged is not None
    assert (judged.ranks, notes) == (2, ())
    assert [("8 ranks" in note, "is rank 4." in note) for note in judged.notes] == [(True, True)]
    assert not any(isinstance(fact, RankStartFacts | GroupFacts) for fact in judged.facts)


def test_a_crash_before_any_step_is_judged_and_who_was_not_watched_is_told(tmp_path: Path) -> None:
    launched = Launched(tmp_path, since=0.0)
    launched.add(3)
    started(tmp_path, 0, StartedFacts(environment={}, unclassified={}), EndFacts.unmeasured(0, "interrupted"))
    started(tmp_path, 1, CrashFacts(step=0, exception="E", message="m", where=""), EndFacts.unmeasured(0, "crashed"))
    theirs = CrashFacts(step=0, exception="Theirs", message="m", where="")
    judged, _ = launched.judged(Ledger.of([theirs, FINISHED]), failed=True)
    assert judged is not None
    assert [fact.exception for fact in judged.facts if isinstance(fact, CrashFacts)] == ["E"]
    assert judged.notes == ("1 of 3 processes that the script started were not watched.",)


def test_nothing_seen_anywhere_is_the_scripts_own(tmp_path: Path) -> None:
    launched = Launched(tmp_path, since=0.0)
    assert launched.judged(Ledger(), failed=False) == (None, ())
    launched.add(1)
    assert launched.judged(Ledger(), failed=False) == (
        None,
        ("1 of 1 processes that the script started were not watched.",),
    )
    started(tmp_path, 0, ProbeFault(step=0, probe="hooks", message="RuntimeError: no such door"), FINISHED)
    _, (note,) = launched.judged(Ledger(), failed=False)
    assert note.endswith("were not watched (RuntimeError: no such door).")


def test_a_run_that_was_killed_is_judged_from_what_they_wrote(tmp_path: Path) -> None:
    own = Ledger(tmp_path / "facts.jsonl")
    own.add(RunFacts(way_in="watch", name="killed"))
    own.close()
    label = CrashFacts(step=0, exception="IndexError", message="m", where="", bad_labels=(7,), num_classes=3)
    processes = tmp_path / PROCESSES
    started(processes, 0, GroupFacts(rank=0, ranks=2), LOOP)
    started(processes, 1, label, EndFacts.unmeasured(0, "crashed"))
    past = read_past_run(tmp_path)
    assert (past.report.verdict, past.report.findings[0].code) == ("NO-GO", "RS101")
    assert [(entry.rank, entry.ended) for entry in past.report.ranks] == [(0, "killed"), (1, "crashed")]
    make_run_folder(tmp_path, "another")
    assert not processes.exists()


def test_a_plan_travels(tmp_path: Path) -> None:
    plan = Plan(str(tmp_path), (200, 300), re.compile("head"), 1.5, ("{}",))
    assert pickle.loads(pickle.dumps(plan)) == plan
