"""`run` on several ranks: two processes over gloo, as torchrun starts them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch

from reid_smoke.build.data.loader import build_loader
from reid_smoke.build.data.training_set import open_training_set
from reid_smoke.build.training import build_training
from reid_smoke.config.schema import Config
from reid_smoke.errors import UsageError
from reid_smoke.facts import ExecutionFacts, RankFacts, RankStartFacts, RunFacts, StepFacts
from reid_smoke.ledger import Ledger
from reid_smoke.train.captured import WARM_UP_OF_RANKS
from reid_smoke.train.loop import train
from reid_smoke.train.ranks import WORDS, Place, Ranks, device_of, find_place
from tests.cli.test_image_text import TEXT
from tests.cli.test_run import LEARNS, QUICK, sets
from tests.warm import Process, Warm


def start(warm: Warm, here: Path, port: int, *overrides: str, options: Sequence[str] = ()) -> Process:
    """The launcher and its ranks have torch already; tests/watch/test_torchrun.py starts some as users do."""
    (here / "config.yaml").write_text("name: tiny\n")
    launcher = ["torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port), "--no-python"]
    command = [*launcher, *warm.launched(), "reid_smoke", "run", "config.yaml", *options, *sets(*overrides)]
    return warm.start(*command, "--out", "out", cwd=here)


def report_of(here: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((here / "out" / "report.json").read_bytes())
    return document


def test_two_ranks_train_one_model_on_divided_data_and_hand_over(warm: Warm, tmp_path: Path) -> None:
    words = [*TEXT, "data.identities=10", "rule.window=[10,18]"]
    overrides = [*LEARNS, *words, "handover={weights: [0.1], steps: 5}"]
    out, err = (process := start(warm, tmp_path, 29621, *overrides, options=["--continue"])).communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.count("GO  reid-smoke run") == 1
    found = report_of(tmp_path)
    assert (found["verdict"], found["findings"], found["global_step"]) == ("GO", [], 18)
    assert found["steps_per_epoch"] == 10  # 160 captions, 8 a batch, 2 ranks
    assert (found["handover"]["ended"], found["handover"]["largest_safe_weight"]) == ("finished", 0.1)
    assert found["handover"]["stages"][0]["steps"] == [19, 23]
    assert [(r["rank"], r["step"], r["images"], r["ended"]) for r in found["ranks"]] == [
        (0, 18, 144, "finished"),
        (1, 18, 144, "finished"),
    ]
    assert found["rule"]["looks"] == pytest.approx(18 * 16 / 10)
    ledger, other = (Ledger.read(tmp_path / "out" / name) for name in ("facts.jsonl", "facts-rank1.jsonl"))
    run = ledger.first(RunFacts)
    assert run is not None
    assert run.ranks == 2
    first, second = ledger.all(StepFacts), other.all(StepFacts)
    # The same weights and the same gradient at each step, from different batches.
    assert [s.head_norm for s in first] == [s.head_norm for s in second]
    assert [s.head_grad_applied for s in first] == [s.head_grad_applied for s in second]
    assert not {s.label_checksum for s in first} & {s.label_checksum for s in second}
    assert {fact.step for fact in ledger.all(RankFacts)} == {*range(1, 12), 18}


def test_a_rank_that_is_killed_ends_the_run_with_a_report(warm: Warm, tmp_path: Path) -> None:
    end_by_a_kill(warm, tmp_path, 29622)


def end_by_a_kill(warm: Warm, tmp_path: Path, port: int, *options: str) -> None:
    process = start(warm, tmp_path, port, *QUICK, "rule.window=[50000,100000]", options=options)
    try:
        facts, patience = tmp_path / "out" / "facts-rank1.jsonl", time.monotonic() + 120
        while not facts.exists() or facts.read_bytes().count(b'"kind":"step"') < 20:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < patience, "no steps came"
            time.sleep(0.05)
        began = Ledger.read(facts).first(RankStartFacts)
        assert began is not None
        os.kill(began.pid, signal.SIGKILL)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    if "<NO_OTHER_FAILURES>" not in err:  # torch 2.6 names none but the one that failed first
        assert "exitcode  : 3" in err  # the first rank's; torchrun itself ends with 1
    assert out.count("UNKNOWN  reid-smoke run") == 1
    assert "Traceback (most recent call last):\n  File" not in out
    found = report_of(tmp_path)
    assert found["reason"].startswith("Rank 1 died after step ")
    assert found["ranks"][1]["ended"] == "killed"
    assert found["global_step"] >= 11


on_two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are no two CUDA devices here")


@on_two_gpus
def test_over_nccl_the_step_is_captured_with_the_exchange_in_it(warm: Warm, tmp_path: Path) -> None:
    overrides = [*LEARNS, "rule.window=[30,40]"]
    out, err = (process := start(warm, tmp_path, 29623, *overrides, options=["--device", "cuda"])).communicate(
        timeout=300
    )
    assert process.returncode == 0, out + err
    found = report_of(tmp_path)
    assert (found["verdict"], found["findings"]) == ("GO", [])
    ledger, other = (Ledger.read(tmp_path / "out" / name) for name in ("facts.jsonl", "facts-rank1.jsonl"))
    assert [(e.captured, e.reason) for e in ledger.all(ExecutionFacts)] == [(True, "")]
    first, second = ledger.all(StepFacts), other.all(StepFacts)
    assert [s.head_norm for s in first] == [s.head_norm for s in second]
    assert [s.head_grad_applied for s in first] == [s.head_grad_applied for s in second]
    assert not {s.label_checksum for s in first} & {s.label_checksum for s in second}
    # DistributedDataParallel made the last steps before the capture: what it gave is the average, and no sum.
    lengths = [s.head_grad_applied or 0.0 for s in first]
    before, after = median(lengths[WARM_UP_OF_RANKS - 5 : WARM_UP_OF_RANKS]), median(lengths[WARM_UP_OF_RANKS:][:5])
    assert after == pytest.approx(before, rel=0.4)


@on_two_gpus
def test_a_rank_that_is_killed_over_nccl_ends_the_run_with_a_report(warm: Warm, tmp_path: Path) -> None:
    end_by_a_kill(warm, tmp_path, 29624, "--device", "cuda")


# --- what the environment says ---


def place_of(monkeypatch: pytest.MonkeyPatch, **words: str) -> Place:
    for name in (*WORDS, "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in words.items():
        monkeypatch.setenv(name, value)
    return find_place()


HERE = {"MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}


@pytest.mark.parametrize("words", [{}, {"WORLD_SIZE": "1", "RANK": "0"}, {"RANK": "3"}, {"WORLD_SIZE": ""}])
def test_one_process_is_alone(monkeypatch: pytest.MonkeyPatch, words: dict[str, str]) -> None:
    assert place_of(monkeypatch, **words) == Place()


def test_the_place_on_the_second_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    words = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", **HERE}
    place = place_of(monkeypatch, **words)
    assert place == Place(5, 8, 1, 4)
    assert not place.is_first


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"WORLD_SIZE": "2"}, "no RANK and no MASTER_ADDR"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE=two, which are no numbers"),
        ({"WORLD_SIZE": "2", "RANK": "2", **HERE}, "RANK=2, WORLD_SIZE=2, which contradict each other"),
        ({"WORLD_SIZE": "4", "RANK": "1", "LOCAL_RANK": "3", "LOCAL_WORLD_SIZE": "2", **HERE}, "contradict"),
    ],
)
def test_an_environment_that_makes_no_sense(monkeypatch: pytest.MonkeyPatch, words: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        place_of(monkeypatch, **words)


def test_fewer_gpus_than_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UsageError, match="4 processes were started on this machine, and torch sees 2 GPUs: start 2"):
        device_of(Place(3, 4, 3, 4), torch.device("cuda"))


def test_each_rank_has_the_gpu_of_its_local_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    assert device_of(Place(5, 8, 1, 4), torch.device("cuda")) == torch.device("cuda:1")
    assert device_of(Place(), torch.device("cuda")) == torch.device("cuda")
    assert device_of(Place(1, 2, 1, 2), torch.device("cpu")) == torch.device("cpu")


def test_an_own_model_is_called_through_what_averages_its_gradients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Averaging(torch.nn.Module):
        calls = 0

        def __init__(self, module: torch.nn.Module, **options: object) -> None:
            super().__init__()
            self.module = module

        def register_comm_hook(self, state: object, hook: object) -> None: ...

        def forward(self, *arguments: torch.Tensor) -> Any:
            Averaging.calls += 1
            return self.module(*arguments)

    monkeypatch.setattr(torch.nn.parallel, "DistributedDataParallel", Averaging)
    (tmp_path / "theirs.py").write_text(
        "from torch import nn\n"
        "def make(num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 16, num_classes))\n"
    )
    data = {"identities": 5, "height": 32, "width": 16, "batch_size": 8}
    config = Config.model_validate(
        {"device": "cpu", "data": data, "model": {"target": "theirs:make", "cwd": str(tmp_path)}}
    )
    training_set = open_training_set(config.data)
    loader = build_loader(training_set, config.data, seed=0, on_unreadable=lambda fact: None)
    training = build_training(config, training_set, loader, torch.device("cpu"))
    train(Ranks(Place(0, 2, 0, 2)).share(training), max_steps=3, stop=lambda step: False)
    assert Averaging.calls == 3
