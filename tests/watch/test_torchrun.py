"""Several processes: the first reports, the others train plainly and quietly, and none waits for another for ever."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

import reid_smoke
from reid_smoke.facts import GraphFacts
from tests.checks.tiny import TinyTraining
from tests.watch.both import WATCH, run, write

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port")

SCRIPT = """
import sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler
from tests.checks.tiny import Crops, TinyTraining

class Training(TinyTraining):
    steps = 50

    def make_loader(self):
        crops = Crops()
        return DataLoader(crops, 16, sampler=DistributedSampler(crops), drop_last=True)

    def make_model(self):
        return DistributedDataParallel(super().make_model())

if __name__ == "__main__":
    dist.init_process_group("gloo")
    training = Training()
    training.train()
    rank = dist.get_rank()
    total = sum(p.detach().double().sum() for p in training.model.parameters())
    ours = "reid_smoke.watch.watching" in sys.modules
    sys.stdout.write(f"rank {rank} watched {ours} weights {total.item()}\\n")
    sys.stdout.flush()
    dist.destroy_process_group()
    sys.exit(int(sys.argv[1]) * rank)
"""


@pytest.mark.parametrize(
    ("port", "words", "code"), [("29611", ["--no-python", *WATCH], 0), ("29612", ["-m", "reid_smoke", "watch"], 6)]
)
def test_only_the_first_process_reports(tmp_path: Path, port: str, words: list[str], code: int) -> None:
    write(tmp_path, train=SCRIPT)
    ended = run(tmp_path, *TORCHRUN, port, *words, "--window", "30:45", "--stop", "train.py", str(code))
    first, second = (line.split() for line in sorted(ended.out.splitlines()))
    assert (first[:4], second[:4]) == (["rank", "0", "watched", "True"], ["rank", "1", "watched", "False"])
    assert first[5] == second[5]  # they trained together
    assert ended.err.count("GO  reid-smoke watch train.py") == 1
    assert ended.err.count("--stop is left out") == 1
    assert ended.code == (1 if code else 0)  # torchrun's own word for a process that failed
    assert f"exitcode  : {code}" in ended.err or not code
    found = json.loads(next(tmp_path.glob("runs/*/report.json")).read_text())
    assert (found["verdict"], found["global_step"], found["findings"]) == ("GO", 50, [])


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
