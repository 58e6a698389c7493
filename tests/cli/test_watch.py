"""`reid-smoke watch` on real training scripts: the verdict, the exit code, and what is said when it ends badly."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from reid_smoke.facts import ProbeFault
from reid_smoke.ledger import Ledger
from tests.conftest import ReidSmoke
from tests.warm import Warm
from tests.watch.both import Ended, watch, write

TRAIN = """
import sys, time
from tests.checks.tiny import TinyTraining

class Training(TinyTraining):
    steps = int(sys.argv[1])

    def train_step(self, images, labels):
        {step}
        super().train_step(images, labels)

if __name__ == "__main__":
    try:
        Training().train()
    finally:
        print("tidied")
    {end}
"""


def train(warm: Warm, folder: Path, steps: int, *options: str, step: str = "pass", end: str = "pass") -> Ended:
    write(folder, train=TRAIN.format(step=step, end=end))
    return watch(warm, folder, "--window", "40:60", *options, "train.py", str(steps))


def report(folder: Path) -> dict[str, Any]:
    return json.loads(next(folder.glob("runs/*/report.json")).read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian.py"], "trian.py: no such script. Did you mean train.py?"),
        (["inner"], "inner: this is a folder without __main__.py. It holds one.py: name one of them."),
        (["-m", "nowhere.train"], "-m nowhere.train: there is no module 'nowhere'."),
        (["--window", "300:200", "train.py"], "--window 300:200: this is no window"),
        (["--widnow", "20:40", "train.py"], "--widnow"),
        (["--json", "train.py"], "--json: stdout is your script's here"),
        (["--ignore", "RS115=", "train.py"], "--ignore RS115=: a check is ignored for a reason"),
        (["--baseline", "gone.json", "train.py"], "baseline gone.json: No such file or directory"),
        ([], "SCRIPT"),
    ],
)
def test_bad_usage_ends_with_2_and_leaves_nothing(
    reid_smoke: ReidSmoke, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "inner").mkdir()
    write(tmp_path, train="")
    write(tmp_path / "inner", one="")
    ended = reid_smoke("watch", *arguments)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert not (tmp_path / "runs").exists()


def test_a_healthy_training_goes_on_past_its_verdict_and_its_own_exit_code_goes_first(
    warm: Warm, tmp_path: Path
) -> None:
    ended = train(warm, tmp_path, 80, end="sys.exit(7)")
    assert (ended.code, ended.out) == (7, "tidied\n")
    live, final = ended.err.split("\n", 1)
    assert live.startswith("reid-smoke: GO: CE is ")
    assert "GO  reid-smoke watch --window 40:60 train.py 80" in final
    assert (report(tmp_path)["verdict"], report(tmp_path)["global_step"]) == ("GO", 80)
    assert 0 < report(tmp_path)["timing"]["startup_s"] < 60


def test_the_command_is_kept_as_it_was_typed(warm: Warm, tmp_path: Path) -> None:
    write(tmp_path, train="import sys; sys.argv[:] = ['changed']")
    ended = watch(
        *(warm, tmp_path, "--window", "5:9", "--ignore", "RS115=forty images", "--out", "here"),
        *("-m", "train", "--name", "two words", "--help"),
    )
    assert ended.code == 3
    found = json.loads((tmp_path / "here" / "report.json").read_text())
    assert found["command"] == (
        "reid-smoke watch --window 5:9 --ignore 'RS115=forty images' --out here -m train --name 'two words' --help"
    )


def test_stop_ends_it_at_its_verdict_and_quiet_says_that_alone(warm: Warm, tmp_path: Path) -> None:
    ended = train(warm, tmp_path, 100_000, "--stop", "--quiet", "--out", "here", end="print('never')")
    assert (ended.code, ended.out) == (0, "tidied\n")
    found = json.loads((tmp_path / "here" / "report.json").read_text())
    assert (found["global_step"], found["ended"], found["verdict"]) == (60, "stopped", "GO")
    assert ended.err == f"GO  {found['reason']}\n"  # and nothing on the way


def test_a_fatal_fault_is_said_at_once_and_ends_with_1(warm: Warm, tmp_path: Path) -> None:
    forget = "self.optimizer.param_groups[0]['params'] = []  # which are the head's"
    ended = train(warm, tmp_path, 100_000, "--stop", step=forget)
    assert ended.code == 1
    assert report(tmp_path)["findings"][0]["slug"] == "head-not-in-optimizer"
    assert report(tmp_path)["global_step"] <= 20
    assert "head-not-in-optimizer" in ended.err.splitlines()[0]


def test_what_the_graph_alone_tells_ends_before_the_first_step_is_over(warm: Warm, tmp_path: Path) -> None:
    cut_off = "self.model.base.register_forward_hook(lambda module, given, made: made.detach())"
    ended = train(warm, tmp_path, 100_000, "--stop", step=cut_off)
    assert ended.code == 1
    assert "loss-does-not-reach-backbone" in ended.err.splitlines()[0]
    assert "not measured: the training was ended before its first step was over" in ended.err


def test_what_ends_it_in_the_midst_of_a_backward_is_in_the_report(warm: Warm, tmp_path: Path) -> None:
    """The third backward beside a classification under no_grad is the one in which it is said and stopped."""
    write(
        tmp_path,
        train="""
            import torch
            from torch.nn import functional as F

            student, regress = torch.nn.Linear(8, 16), torch.nn.Linear(8, 4)
            optimizer = torch.optim.SGD([*student.parameters(), *regress.parameters()], 0.1)
            for _ in range(100_000):
                images, labels = torch.randn(6, 8), torch.randint(16, (6,))
                with torch.no_grad():
                    scores = student(images)
                loss = F.cross_entropy(scores, labels) + F.mse_loss(regress(images), torch.zeros(6, 4))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        """,
    )
    ended = watch(warm, tmp_path, "--stop", "train.py")
    assert "NO-GO" in ended.err
    assert (ended.code, report(tmp_path)["verdict"]) == (1, "NO-GO")
    assert report(tmp_path)["findings"][0]["slug"] == "loss-does-not-reach-head"


def test_an_optimizer_of_another_copy_is_named_though_the_second_step_crashes(warm: Warm, tmp_path: Path) -> None:
    """As GradScaler does where no parameter of the optimizer has a gradient; three updates are waited for otherwise."""
    copied = "self.model, self.original = __import__('copy').deepcopy(self.model), self.model"
    ended = train(warm, tmp_path, 70, step=f"assert self.step_number < 2; {copied}")
    assert "AssertionError" in ended.err
    assert report(tmp_path)["findings"][0]["slug"] == "optimizer-holds-a-copy"


def test_a_label_out_of_range_is_named_from_the_crash(warm: Warm, tmp_path: Path) -> None:
    ended = train(warm, tmp_path, 70, step="labels = labels + 20 * (self.step_number > 7)")
    assert ended.code == 1
    assert "IndexError: Target " in ended.err
    found = report(tmp_path)
    assert (found["verdict"], found["findings"][0]["slug"]) == ("NO-GO", "label-out-of-range")
    assert (found["ended"], found["crash"]["exception"]) == ("crashed", "IndexError")


SLOW = "self.step_number == 5 and print('ready', flush=True); self.step_number > 5 and time.sleep(0.05)"


def train_and_signal(warm: Warm, folder: Path, number: signal.Signals) -> Ended:
    """Sent in the midst of the training, where nothing depends on how it came to torch."""
    write(folder, train=TRAIN.format(step=SLOW, end="pass"))
    process = warm.start("reid_smoke", "watch", "train.py", "100000", cwd=folder)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)  # the step that says so is yet to be made
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out, err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reports_what_was_seen(warm: Warm, tmp_path: Path, number: signal.Signals) -> None:
    ended = train_and_signal(warm, tmp_path, number)
    assert ended.code == -number
    found = report(tmp_path)
    assert (found["verdict"], found["ended"]) == ("UNKNOWN", "interrupted")
    assert found["global_step"] >= 3
    assert "UNKNOWN  reid-smoke watch train.py" in ended.err
    assert ("tidied" in ended.out) == (number == signal.SIGINT)  # python runs no finally on SIGTERM


def test_after_a_kill_the_facts_can_be_read(warm: Warm, tmp_path: Path) -> None:
    ended = train_and_signal(warm, tmp_path, signal.SIGKILL)
    assert ended.code == -signal.SIGKILL
    facts = Ledger.read(next(tmp_path.glob("runs/*/facts.jsonl")))
    assert [s.step for s in facts.steps][:3] == [1, 2, 3]


def test_the_report_is_written_where_it_began(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path, script="import os, sys; os.chdir('elsewhere'); sys.stderr.close()")
    ended = watch(warm, tmp_path, "script.py")
    assert ended.code == 3
    assert report(tmp_path)["verdict"] == "UNKNOWN"


SMOOTHED_BY_HAND = """
import sys
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

def loss(score, labels):
    log_probs = score.log_softmax(1)
    if sys.argv[2] == "host":  # as many write it
        targets = torch.zeros(log_probs.size()).scatter_(1, labels.unsqueeze(1).cpu(), 1).cuda()
    else:
        targets = torch.zeros_like(log_probs).scatter_(1, labels.unsqueeze(1), 1)
    return (-(0.9 * targets + 0.01) * log_probs).mean(0).sum()

labels = torch.arange(400) % 10
labels[int(sys.argv[1])] = 10
cameras = torch.arange(400) % 600
model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Linear(16, 10, bias=False)).cuda()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for features, pids, _ in DataLoader(TensorDataset(torch.randn(400, 8), labels, cameras), 16):
    score = model(features.cuda())
    optimizer.zero_grad()
    loss(score, pids.cuda()).backward()
    optimizer.step()
torch.cuda.synchronize()
"""


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("scattered", ["host", "gpu"])
@pytest.mark.parametrize("place", [3, 379])  # in the first batch, and in the last but one
def test_a_label_out_of_range_of_a_loss_by_hand_is_named_on_a_gpu(tmp_path: Path, place: int, scattered: str) -> None:
    (tmp_path / "train.py").write_text(SMOOTHED_BY_HAND)
    command = [sys.executable, "-m", "reid_smoke", "watch", "train.py", str(place), scattered]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr
    assert [(f["code"], f["primary"]) for f in report(tmp_path)["findings"]][:1] == [("RS101", True)]
    assert "holds labels 10; the logits are 10 wide" in report(tmp_path)["findings"][0]["evidence"]
    assert Ledger.read(next(tmp_path.glob("runs/*/facts.jsonl"))).all(ProbeFault) == []
