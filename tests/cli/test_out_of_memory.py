"""A batch that does not fit into memory: `run` and `overfit` say what fits, `watch` says what happened."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from typer.testing import CliRunner

import reid_smoke
from reid_smoke.checks.catalogue import rank
from reid_smoke.cli.app import app
from reid_smoke.config.schema import Config
from reid_smoke.facts import CrashFacts, EndFacts, OutOfMemoryFacts, RunFacts
from reid_smoke.ledger import Ledger
from reid_smoke.rank_files import OtherRanks, open_rank_ledger
from reid_smoke.smaller_batch import smaller_batches
from reid_smoke.verdict import judge
from tests.cli.test_run import LEARNS, sets, train
from tests.warm import Warm

MODEL = """
import weakref
import torch
from torch import nn

ALIVE = weakref.WeakSet()

class Crowded(nn.Module):
    '''On a device that holds so many images and no more.'''

    def __init__(self, num_classes, most, where):
        super().__init__()
        self.bn = nn.BatchNorm1d(3 * 32 * 16)
        self.classifier = nn.Linear(3 * 32 * 16, num_classes, bias=False)
        self.most, self.where = most, where
        if where == "alone" and ALIVE:
            raise RuntimeError("there is no room for two, and the one before is still held")
        ALIVE.add(self)

    def to(self, **where):
        if self.where == "to":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().to(**where)

    def forward(self, images):
        logits = self.classifier(self.bn(images.flatten(1)))
        if self.training and len(images) > self.most:
            if self.where != "backward":
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            logits.register_hook(lambda gradient: torch.empty(2**50))
        return logits
"""
SIZED = ["data.batch_size=", "rule.window="]


def crowded(here: Path, most: int, where: str = "forward") -> list[str]:
    """The overrides of a training with it, 8 images a batch."""
    (here / "crowded.py").write_text(MODEL)
    model = f"model={{target: 'crowded:Crowded', cwd: {here}, kwargs: {{most: {most}, where: {where}}}}}"
    rest = [word for word in LEARNS if not word.startswith(("model.", *SIZED))]
    return [*rest, model, "optimizer={lr: 1e-3, groups: []}", "data.batch_size=8", "rule.window=[15,25]"]


def report_in(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "report.json").read_bytes())
    return document


def test_a_run_says_which_batch_fits_and_judges_that(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("name: tiny\n")
    asked = [*crowded(tmp_path, 4, "alone"), "data.batch_size=16"]
    ended = warm.run("reid_smoke", "run", "config.yaml", *sets(*asked), "--out", "out", cwd=tmp_path)
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("out of memory with") == 2  # 16 and 8
    found = report_in(tmp_path / "out")
    assert (ended.returncode, found["verdict"], found["crash"]) == (0, "GO", None)
    (finding,) = found["findings"]
    assert (finding["code"], finding["severity"], finding["step"]) == ("RS801", "warn", 1)
    assert "with 16 images a batch on cpu, and with 8 as well; 4 fit, with an update every 4 b" in finding["evidence"]
    assert "one batch norm sees 4 images in place of 16" in finding["evidence"]
    # The same updates: four times as many batches.
    assert (found["rule"]["window"], found["global_step"], found["steps_per_epoch"]) == ([60, 100], 100, 40)
    steps = Ledger.read(tmp_path / "out" / "facts.jsonl").steps
    assert [(s.step, s.batch) for s in steps] == [(step, 4) for step in range(1, 101)]  # of what fits alone
    assert [s.step for s in steps if s.applied] == list(range(4, 101, 4))


def test_what_is_to_be_pasted_is_what_was_judged_from_the_same_start(tmp_path: Path) -> None:
    asked = crowded(tmp_path, 4, "backward")
    first = train(tmp_path / "first", *asked)
    mend = first.report.findings[0].mend.partition("```yaml\n")[2].partition("```")[0]
    config = tmp_path / "pasted.yaml"
    config.write_text(f"name: tiny\n{mend}")
    rest = sets(*(word for word in asked if not word.startswith(tuple(SIZED))))
    again = CliRunner().invoke(app, ["run", str(config), *rest, "--out", str(tmp_path / "again")])
    assert (first.code, again.exit_code) == (0, 0)
    steps = Ledger.read(tmp_path / "again" / "facts.jsonl").steps
    assert [(s.batch, s.ce) for s in steps] == [(s.batch, s.ce) for s in first.ledger.steps]


def test_where_nothing_fits_that_is_a_finding_and_no_verdict(tmp_path: Path) -> None:
    ended = train(tmp_path / "out", *crowded(tmp_path, 1, "backward"))
    assert "Traceback" not in ended.stdout + ended.stderr
    found = ended.report
    assert (ended.code, found.verdict, found.ended) == (3, "UNKNOWN", "crashed")
    assert found.reason.startswith("Memory ran out at step 1 with 2 images a batch: ")
    (finding,) = found.findings
    assert (finding.code, finding.severity, finding.primary) == ("RS801", "fail", True)
    assert "with 8 images a batch on cpu, and with 4, 2 as well" in finding.evidence
    assert "RS801" in ended.stdout


def test_where_not_even_the_model_fits_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("name: tiny\n")
    asked = sets(*crowded(tmp_path, 8, "to"))
    ended = CliRunner().invoke(app, ["run", str(tmp_path / "config.yaml"), *asked, "--out", str(tmp_path / "out")])
    assert ended.exit_code == 3
    assert "memory ran out on cpu before the first step, with the model alone" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "out").exists()


def test_overfit_does_the_same(tmp_path: Path) -> None:
    asked = sets(*crowded(tmp_path, 8), "data.batch_size=16")
    arguments = ["overfit", "--n", "32", "--epochs", "8", *asked, "--out", str(tmp_path / "out")]
    ended = CliRunner().invoke(app, arguments)
    found = report_in(tmp_path / "out")
    assert (ended.exit_code, found["global_step"]) == (0, 32), ended.output
    assert [f["code"] for f in found["findings"]] == ["RS801"]


def test_a_watched_training_that_runs_out_of_memory_is_told_so_and_ends_as_it_would(tmp_path: Path) -> None:
    model = nn.Sequential(nn.BatchNorm1d(16), nn.Linear(16, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loader = DataLoader(TensorDataset(torch.randn(64, 16), torch.arange(64) % 4), batch_size=32)

    def watched() -> None:
        with reid_smoke.watch(out=tmp_path):
            for images, labels in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(images), labels).backward()
                optimizer.step()
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with pytest.raises(torch.OutOfMemoryError, match="Tried"):
        watched()
    found = report_in(tmp_path)
    assert (found["verdict"], found["crash"]["exception"]) == ("UNKNOWN", "OutOfMemoryError")
    (finding,) = found["findings"]
    assert (finding["code"], finding["primary"]) == ("RS801", True)
    assert "with 32 images a batch" in finding["evidence"]
    assert "number % 4 == 0" in finding["mend"]


def test_several_ranks_are_told_that_nothing_smaller_was_tried(tmp_path: Path) -> None:
    ledger, others = Ledger.of([RunFacts(way_in="run", name="two", ranks=2)]), OtherRanks(tmp_path, 2, time.time())
    second = open_rank_ledger(tmp_path, 1, 2)
    second.add(OutOfMemoryFacts(step=3, batch=64, device="cuda:1", peak=70 * 2**30, total=80 * 2**30, elsewhere=2**30))
    second.add(CrashFacts(step=3, exception="OutOfMemoryError", message="CUDA out of memory", where="train.py:1"))
    second.add(EndFacts.unmeasured(3, "crashed"))
    ledger.add(CrashFacts(step=3, exception="DistBackendError", message="NCCL: closed by peer", where="train.py:1"))
    others.finish_into(ledger)
    judgement = judge(ledger, ended=True)
    assert (judgement.verdict.word, judgement.exit_code) == ("UNKNOWN", 3)
    assert judgement.verdict.reason.startswith("Memory ran out on rank 1 at step 4 with 64 images a batch")
    (finding,) = [result.finding for result in rank(judgement.results) if result.finding is not None]
    assert "of rank 1 with 64 images a batch on cuda:1, which has 80.0 GiB and had given this tr" in finding.evidence
    assert "Several ranks are not begun anew" in (finding.mend or "")


@pytest.mark.parametrize(
    ("sections", "sizes"),
    [
        ({"data": {"batch_size": 8}, "train": {"steps": 400}}, [(4, 4, 2, 600, 800), (2, 4, 4, 1200, 1600)]),
        # People or images of each, whatever there is more of; two of two are the least.
        (
            {"data": {"batch_size": 32, "instances": 4, "sampler": "pk"}, "train": {"accumulate": 2}},
            [(16, 4, 4, 600, None), (8, 2, 8, 1200, None), (4, 2, 16, 2400, None)],
        ),
        ({"data": {"batch_size": 3}}, [(2, 4, 2, 600, None)]),
        ({"data": {"batch_size": 8}, "train": {"accumulate": 40}}, [(4, 4, 80, 600, None)]),
    ],
    ids=["random", "pk", "odd", "no more than 99 an update"],
)
def test_the_batch_is_halved_and_the_update_stays(
    sections: dict[str, Any], sizes: list[tuple[int, int, int, int, int | None]]
) -> None:
    asked = Config.model_validate(sections)
    found = list(smaller_batches(asked))
    assert [
        (c.data.batch_size, c.data.instances, c.train.accumulate, c.rule.window[1], c.train.steps) for c in found
    ] == sizes
    assert [Config.model_validate(c.to_plain()) for c in found] == found


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
class TestOnAGpu:
    def test_a_gpu_that_is_too_small_for_the_batch(self, tmp_path: Path) -> None:
        """A process that may have a part of the card: ResNet-50's batch of 64 takes some 6 GiB of it."""
        found, err = self.run(tmp_path, 3 * 2**30, "data.batch_size=64", "rule.window=[10,15]")
        (finding,) = [f for f in found["findings"] if f["code"] == "RS801"]
        assert finding["severity"] == "warn", err
        assert "GiB" in finding["evidence"]
        assert found["global_step"] in (30, 60, 120)
        assert found["crash"] is None
        assert "Traceback" not in err

    def test_it_fits_after_all_captured_or_not(self, tmp_path: Path) -> None:
        """Wherever between too little and enough the limit lies, in the eager steps or in the capture."""
        for gib in (1.5, 2.5, 3.5):
            folder = tmp_path / str(gib)
            folder.mkdir()
            found, err = self.run(folder, int(gib * 2**30), "data.batch_size=48", "rule.window=[10,15]")
            assert found["verdict"] in ("GO", "NO-GO"), err
            assert found["crash"] is None
            assert found["timing"]["one_cuda_graph"] is not None

    def test_a_watched_training_says_what_the_card_has(self, tmp_path: Path) -> None:
        layer = nn.Linear(16, 4).cuda()

        def watched() -> None:
            with reid_smoke.watch(out=tmp_path):
                torch.empty(2**50, device="cuda")
                layer(torch.randn(8, 16, device="cuda"))

        with pytest.raises(torch.OutOfMemoryError):
            watched()
        (finding,) = report_in(tmp_path)["findings"]
        assert finding["evidence"].startswith("memory ran out at step 1 on cuda:0, which has ")
        assert "GiB and had given this training" in finding["evidence"]

    def run(self, here: Path, limit: int, *overrides: str) -> tuple[dict[str, Any], str]:
        (here / "config.yaml").write_text("name: small-card\nmodel: {backbone: resnet50}\n")
        (here / "limited.py").write_text(
            "import sys, torch\n"
            f"share = {limit} / torch.cuda.get_device_properties(0).total_memory\n"
            "torch.cuda.set_per_process_memory_fraction(share)\n"
            "from reid_smoke.cli.app import app\napp()\n"
        )
        command = ["run", "config.yaml", *sets("device=cuda", "data.identities=40", *overrides), "--out", "out"]
        ended = subprocess.run(
            [sys.executable, "limited.py", *command], cwd=here, capture_output=True, text=True, check=False, timeout=300
        )
        assert ended.returncode in (0, 1), ended.stderr
        return report_in(here / "out"), ended.stderr
