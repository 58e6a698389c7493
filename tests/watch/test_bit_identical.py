"""With a fixed seed the weights after 50 steps are equal to the bit with and without `watch`; tracebacks are equal."""

from __future__ import annotations

import json
from pathlib import Path

from tests.watch.both import run_both, write

SCRIPT = """
import hashlib, random
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from tests.checks.tiny import Crops, TinyTraining

class Sgd(TinyTraining):
    def make_optimizer(self):
        return torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)

    def clip(self):
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)

class Workers(TinyTraining):
    def make_loader(self):
        return DataLoader(Crops(), 16, shuffle=True, drop_last=True, num_workers=2, persistent_workers=True)

class Scaled(TinyTraining):
    def after_building(self):
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20)

    def train_step(self, images, labels):
        with torch.autocast("cpu", dtype=torch.float16):
            score, _ = self.model(images)
        self.scaler.scale(F.cross_entropy(score.float(), labels)).backward()
        self.scaler.unscale_(self.optimizer)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()

class Accumulated(TinyTraining):
    def train_step(self, images, labels):
        (self.loss(images, labels) / 4).backward()
        if self.step_number % 4 == 0:
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=False)

class Torn(Crops):
    def __getitem__(self, index):
        raise OSError(f"image {index} is torn")

def first(loader):
    return next(iter(loader))

if __name__ == "__main__":
    for kind in (TinyTraining, Sgd, Workers, Scaled, Accumulated):
        training = kind()
        training.steps = 50
        training.train()
        whole = b"".join(p.detach().numpy().tobytes() for p in training.model.state_dict().values())
        print(kind.__name__, hashlib.sha256(whole).hexdigest(), torch.rand(1).item(), random.Random(0).random())
    print(torch.get_num_threads())
    for loader in (DataLoader(Torn()), DataLoader(Torn(), num_workers=1)):
        try:
            first(loader)
        except OSError as error:
            kept = error
    raise kept
"""


def test_the_weights_after_50_steps_are_equal_and_the_traceback_that_ends_it(tmp_path: Path) -> None:
    write(tmp_path, script=SCRIPT)
    ended = run_both(tmp_path, "script.py", options=("--quiet",))  # no word of ours before the traceback
    ended.assert_same_output()
    assert len(ended.python.out.splitlines()) == 6
    assert ended.watch.code == ended.python.code == 1
    assert "is torn" in ended.python.err
    report = json.loads(next(tmp_path.glob("runs/*/report.json")).read_text())
    assert report["global_step"] == 250  # it did look on
    assert report["notes"] == []


def test_a_traceback_out_of_backward_is_equal(tmp_path: Path) -> None:
    write(
        tmp_path,
        script="""
            import os
            os.environ["OMP_NUM_THREADS"] = "2"  # too late where torch has been imported already
            import torch
            print(torch.get_num_threads(), __import__("warnings").filters)
            from tests.checks.tiny import Model

            loss = Model(24)(torch.zeros(2, 3, 8, 8))[0].sum()
            loss.backward()
            loss.backward()
        """,
    )
    ended = run_both(tmp_path, "script.py")
    ended.assert_same_output()
    assert ended.watch.code == ended.python.code == 1
    assert "backward through the graph a second time" in ended.python.err
