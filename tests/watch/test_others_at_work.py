"""What else stands in a training's way sees the training alone: torch.compile, modes, odd kinds of parameters."""

from __future__ import annotations

from pathlib import Path

from tests.watch.both import run_both, write

SCRIPT = """
import gc, hashlib, warnings, weakref
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from tests.checks.tiny import TinyTraining

warnings.simplefilter("error")

def compiled(function, **options):
    return torch.compile(function, backend="eager", **options)

class InOnePiece(TinyTraining):
    def train_step(self, images, labels):
        self.zero()
        self.loss(images, labels).backward()
        self.clipped()
        self.optimizer.step()

    def after_building(self):
        model = self.model
        self.zero = compiled(lambda: model.zero_grad(), fullgraph=True)
        clip = torch.nn.utils.clip_grad_norm_
        can = torch.__version__ >= (2, 7)  # torch 2.6 itself breaks out of it
        self.clipped = compiled(lambda: clip(model.parameters(), max_norm=1.0), fullgraph=can)

class Whole(TinyTraining):
    def after_building(self):
        self.train_step = compiled(super().train_step)

    def clip(self):
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)

class Counted(TinyTraining):
    def train_step(self, images, labels):
        with FlopCounterMode(display=False) as flops, Operations() as operations, Functions() as functions:
            super().train_step(images, labels)
        print(flops.get_total_flops(), operations.seen, functions.seen)

class Operations(TorchDispatchMode):
    seen = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen += 1
        return function(*args, **(kwargs or {}))

class Functions(TorchFunctionMode):
    seen = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.seen += 1
        return function(*args, **(kwargs or {}))

class Complex(TinyTraining):
    def make_model(self):
        model = super().make_model()
        model.phase = nn.Parameter(torch.randn(24, 24, dtype=torch.complex64))
        model.classifier2 = nn.Linear(24, 24)
        model.scale = nn.Parameter(torch.tensor(1.5))
        return model

    def loss(self, images, labels):
        score = self.model(images)[0]
        turned = (score.to(torch.complex64) @ self.model.phase).abs()
        return F.cross_entropy(self.model.classifier2(F.normalize(turned)) * self.model.scale, labels)

    def make_optimizer(self):
        return torch.optim.AdamW(self.model.parameters(), lr=torch.tensor(1e-3))

def in_a_function():
    training = TinyTraining()
    training.steps = 5
    training.train()
    return weakref.ref(training.optimizer), weakref.ref(training.loader.dataset)

ends = in_a_function()
gc.collect()
print("dropped:", [end() is None for end in ends])

for kind in (InOnePiece, Whole, Counted, Complex):
    training = kind()
    training.steps = 10
    if kind is Whole:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            training.train()
    else:
        training.train()
    whole = b"".join(p.detach().numpy().tobytes() for p in training.model.state_dict().values())
    print(kind.__name__, hashlib.sha256(whole).hexdigest())
"""


def test_they_see_the_training_alone(tmp_path: Path) -> None:
    write(tmp_path, script=SCRIPT)
    ended = run_both(tmp_path, "script.py", options=("--quiet",))
    assert ended.watch.out == ended.python.out, ended.watch.err
    assert ended.python.out.splitlines()[-1].startswith("Complex"), ended.python.err
    assert "recompile" not in ended.watch.err
