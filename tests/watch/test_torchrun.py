"""Several processes: the first reports for all, the others write down what they see, and none waits for another."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import reid_smoke
from reid_smoke.facts import GraphFacts, ProbeFault
from tests.checks.tiny import TinyTraining
from tests.warm import Warm
from tests.watch.both import ENVIRONMENT, WATCH, write

TORCHRUN = ("torch.distributed.run", "--nproc-per-node", "2", "--master-port")

SCRIPT = """
import os
import signal
import sys
import torch
import torch.distributed as dist
from tests.watch.together import TogetherTraining

class Training(TogetherTraining):
    def loss(self, images, labels):
        if dist.get_rank() == 1 and self.step_number == 20:
            if "crash" in sys.argv:
                labels = labels + 100
            if "hang" in sys.argv:
                os.kill(os.getpid(), signal.SIGSTOP)
        return super().loss(images, labels)

if __name__ == "__main__":
    dist.init_process_group("gloo")
    training = Training()
    training.train()
    total = sum(p.detach().double().sum() for p in training.model.parameters())
    sys.stdout.write(f"rank {dist.get_rank()} weights {total.item()}\\n")
    sys.stdout.flush()
    dist.destroy_process_group()
"""


def test_the_first_process_reports_for_all(warm: Warm, tmp_path: Path) -> None:
    write(tmp_path, train=SCRIPT)
    watch = [*WATCH, "--window", "30:45", "--stop", "train.py"]
    ended = warm.run(*TORCHRUN, "29611", "--no-python", *watch, cwd=tmp_path, environment=ENVIRONMENT)
    first, second = (line.split() for line in sorted(ended.stdout.splitlines()))
    assert (first[:2], second[:2]) == (["rank", "0"], ["rank", "1"])
    assert first[3] == second[3]  # they trained together
    assert ended.stderr.count("GO  reid-smoke watch --window 30:45 --stop train.py") == 1
    assert ended.stderr.count("--stop is left out") == 1
    assert ended.returncode == 0, ended.stderr
    (folder,) = (tmp_path / "runs").iterdir()  # and nothing of the ranks' meeting place
    found = json.loads((folder / "report.json").read_text())
    assert (found["verdict"], found["global_step"], found["findings"]) == ("GO", 50, [])
    assert [(r["rank"], r["step"], r["batch"], r["ended"]) for r in found["ranks"]] == [
        (0, 50, 16, "finished"),
        (1, 50, 16, "finished"),
    ]
    checked = {check["code"]: check["status"] for check in found["checks"]["results"] if check["code"][:3] == "RS6"}
    assert {code for code, status in checked.items() if status != "pass"} == {"RS604"}  # which waits for a crash
    assert len((folder / "facts-rank1.jsonl").read_text().splitlines()) > 50


def test_a_crash_on_another_rank_is_named(warm: Warm, tmp_path: Path) -> None:
    write(tmp_path, train=SCRIPT)
    watch = [*warm.launched(), "reid_smoke", "watch", "--out", "out", "train.py", "crash"]
    ended = warm.run(*TORCHRUN, "29612", "--no-python", *watch, cwd=tmp_path)
    assert ended.returncode == 1  # torchrun's own word for a process that failed
    assert "NO-GO  reid-smoke watch --out out train.py crash" in ended.stderr
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert next(finding["code"] for finding in found["findings"] if finding["primary"]) == "RS101"
    assert (found["crash"]["exception"], found["crash"]["rank"]) == ("IndexError", 1)
    assert found["ranks"][1]["ended"] == "crashed"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "facts-rank1.jsonl", "facts.jsonl", "junit.xml", "report.html", "report.json",
    ]  # fmt: skip


IMPATIENT = """
from reid_smoke import last_resort
from reid_smoke.cli import main

last_resort.SECONDS_OF_FIRST = 2.0  # instead of 8, for which nothing else happens
main()
"""


def test_a_rank_that_waits_in_c_still_reports(tmp_path: Path) -> None:
    """The other one is stopped, not dead, so that no connection breaks; and python's handlers do not run in a wait."""
    write(tmp_path, train=SCRIPT, impatient=IMPATIENT)
    command = [sys.executable, "-m", *TORCHRUN, "29613", "impatient.py", "watch", "--out", "out", "train.py", "hang"]
    err = tmp_path / "err"
    with err.open("w") as stream:
        process = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, start_new_session=True, stderr=stream)
    children: list[str] = []
    try:
        facts = tmp_path / "out" / "facts.jsonl"
        patience = time.monotonic() + 120
        while not facts.exists() or '"step":18,' not in facts.read_text():
            assert process.poll() is None
            assert time.monotonic() < patience
            time.sleep(0.1)
        time.sleep(0.5)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:  # as torchrun does when a rank has died
            os.kill(int(child), signal.SIGTERM)
        while not re.search(r"UNKNOWN  reid-smoke watch --out out train.py hang", err.read_text()):
            assert time.monotonic() < patience
            time.sleep(0.1)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        for child in children:
            if Path(f"/proc/{child}").exists():
                os.kill(int(child), signal.SIGKILL)
        process.wait()
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (found["verdict"], found["ended"]) == ("UNKNOWN", "interrupted")
    assert found["ranks"][1]["ended"] == "running"


def test_the_names_are_the_models_own_behind_ddp(tmp_path: Path) -> None:
    import torch.distributed as dist

    class Wrapped(TinyTraining):
        steps = 20

        def make_model(self) -> torch.nn.Module:
            return torch.nn.parallel.DistributedDataParallel(super().make_model())

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        with reid_smoke.watch(window=(10, 20), out=tmp_path) as watch:
            Wrapped().train()
    finally:
        dist.destroy_process_group()
    graph = watch.ledger.last(GraphFacts)
    assert graph is not None
    assert (graph.head, graph.fed_by, graph.neck) == ("classifier.weight", "batch_norm", "bottleneck")


@pytest.mark.skipif(not hasattr(torch.cpu.Stream, "record_event"), reason="this torch divides weights on GPUs only")
def test_weights_that_are_divided_are_left_alone(tmp_path: Path) -> None:
    """FSDP gives a weight's memory back after each use: a look at it then would be the end of the process."""
    import torch.distributed as dist
    from torch.distributed.fsdp import fully_shard

    class Divided(TinyTraining):
        steps = 20

        def make_model(self) -> torch.nn.Module:
            return fully_shard(super().make_model(), mesh=dist.device_mesh.init_device_mesh("cpu", (1,)))

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        with reid_smoke.watch(window=(10, 20), out=tmp_path) as watch:
            Divided().train()
    finally:
        dist.destroy_process_group()
    assert watch.report is not None
    assert (watch.report.verdict, watch.report.findings) == ("GO", ())
    assert any("FSDP" in note for note in watch.report.notes)
    assert not watch.ledger.all(ProbeFault)
