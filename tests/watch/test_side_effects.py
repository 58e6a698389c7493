"""What is read on the way leaves no trace: neither what others packed away, nor what a sampler draws to count."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import ClassVar

import pytest
from torch import nn

from reid_smoke.facts import ProbeFault
from reid_smoke.probes import nodes
from reid_smoke.watch.after_import import after_import
from tests.watch.both import run_both, write

TRAININGS = """
import hashlib, random
import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch.utils.data import BatchSampler, DataLoader, Sampler
from tests.checks.tiny import Crops, TinyTraining

class Recomputed(TinyTraining):
    "Batch norms count each time that they are computed once more."
    part, calls = "model", 0

    def computed(self, function, *args):
        def counted(*args):
            self.calls += 1
            return function(*args)
        return checkpoint(counted, *args, use_reentrant=False)

    def loss(self, images, labels):
        return F.cross_entropy(self.computed(self.model, images)[0], labels)

class RecomputedBackbone(Recomputed):
    def loss(self, images, labels):
        features = self.computed(self.model.base, images)
        return F.cross_entropy(self.model.classifier(self.model.neck(features)), labels)

class RecomputedLoss(Recomputed):
    def loss(self, images, labels):
        return self.computed(super().loss, images, labels)

class GivenBackOnce(TinyTraining):
    "Activations lie elsewhere until backward asks for them."
    calls, kept = 0, {}

    def pack(self, tensor):
        self.calls += 1
        self.kept[self.calls] = tensor.detach().clone()
        return self.calls

    def loss(self, images, labels):
        with torch.autograd.graph.saved_tensors_hooks(self.pack, self.kept.pop):
            return super().loss(images, labels)

class CountsByDrawing(Sampler):
    def __init__(self):
        self.ahead = None
        self.torch, self.python = torch.Generator().manual_seed(3), random.Random(3)
        self.numpy, self.old = np.random.default_rng(3), np.random.RandomState(3)

    def draw(self):
        random.random(), np.random.rand(), torch.rand(1)
        self.python.random(), self.numpy.random(), self.old.rand()
        return torch.randperm(192, generator=self.torch).tolist()

    def __iter__(self):
        drawn, self.ahead = self.ahead or self.draw(), None
        return iter(drawn)

    def __len__(self):
        self.ahead = self.ahead or self.draw()
        return len(self.ahead)

class Drawn(TinyTraining):
    calls = 0

    def make_loader(self):
        self.sampler = CountsByDrawing()
        return DataLoader(Crops(), batch_sampler=BatchSampler(self.sampler, 16, True))

for kind in (RecomputedBackbone, Recomputed, GivenBackOnce, Drawn, RecomputedLoss):
    random.seed(0)
    np.random.seed(0)
    training = kind()
    training.steps = 30
    training.train()
    whole = b"".join(p.detach().numpy().tobytes() for p in training.model.state_dict().values())
    print(kind.__name__, hashlib.sha256(whole).hexdigest(), training.calls)
    print(torch.rand(1).item(), random.random(), np.random.rand())
    if kind is Drawn:
        print(training.sampler.python.random(), training.sampler.numpy.random(), training.sampler.old.rand())
"""


def test_no_training_goes_another_way(tmp_path: Path) -> None:
    write(tmp_path, script=TRAININGS)
    ended = run_both(tmp_path, "script.py", options=("--quiet",))
    ended.assert_same_output()
    assert "RecomputedLoss" in ended.python.out
    report = json.loads(next(tmp_path.glob("runs/*/report.json")).read_text())
    assert report["global_step"] >= 60  # what it may look at it did look at
    facts = [json.loads(line) for line in next(tmp_path.glob("runs/*/facts.jsonl")).read_text().splitlines()]
    assert not [fact for fact in facts if fact["kind"] == "probe_fault"]
    promised = [fact["batches_promised"] for fact in facts if fact["kind"] == "loader" and fact["finished"]]
    assert set(promised) == {12}


@pytest.mark.parametrize("under", ["a checkpoint", "hooks of theirs"])
def test_a_loss_that_is_hidden_is_no_fault(under: str, tmp_path: Path) -> None:
    from torch.autograd.graph import saved_tensors_hooks
    from torch.utils.checkpoint import checkpoint

    from tests.checks.tiny import TinyTraining, run_tiny

    class Hidden(TinyTraining):
        steps = 8

        def loss(self, images, labels):  # type: ignore[no-untyped-def]
            if under == "a checkpoint":
                return checkpoint(super().loss, images, labels, use_reentrant=False)
            with saved_tensors_hooks(lambda tensor: tensor, lambda tensor: tensor):
                return super().loss(images, labels)

    _, judgement = run_tiny(Hidden())
    assert judgement.verdict.word == "UNKNOWN"
    assert not [result for result in judgement.results if result.finding is not None]


@pytest.mark.parametrize("torch_tells_of_hooks", sorted({nodes.TELLS_OF_HOOKS, False}))
def test_what_is_given_back_once_is_backwards_alone(
    torch_tells_of_hooks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.autograd.graph import saved_tensors_hooks

    from tests.checks.tiny import TinyTraining, run_tiny

    class FeaturesMovedAway(TinyTraining):
        steps = 8
        kept: ClassVar[dict[int, object]] = {}

        def loss(self, images, labels):  # type: ignore[no-untyped-def]
            def pack(tensor: object) -> int:
                self.kept[len(self.kept)] = tensor
                return len(self.kept) - 1

            with saved_tensors_hooks(pack, given_back):
                features = self.model.base(images)
            return nn.functional.cross_entropy(self.model.classifier(self.model.neck(features)), labels)

    asked: list[int] = []

    def given_back(key: int) -> object:
        asked.append(key)
        return FeaturesMovedAway.kept[key]

    alone = FeaturesMovedAway()
    alone.train()
    by_backward, asked[:] = list(asked), []
    FeaturesMovedAway.kept.clear()
    monkeypatch.setattr(nodes, "TELLS_OF_HOOKS", torch_tells_of_hooks)
    ledger, _ = run_tiny(FeaturesMovedAway())
    assert asked == by_backward
    assert len(ledger.steps) == FeaturesMovedAway.steps
    assert not ledger.all(ProbeFault)


def test_warnings_name_the_line_that_they_would(tmp_path: Path) -> None:
    write(
        tmp_path,
        script="""
            import torch
            from torch.utils.data import DataLoader, IterableDataset

            class Longer(IterableDataset):
                def __len__(self):
                    return 1

                def __iter__(self):
                    return iter([1.0, 2.0])

            loader = DataLoader(Longer())
            print(len(loader))
            for batch in loader:
                print(batch)
            weight = torch.ones(1, requires_grad=True)
            torch.autograd.backward(2 * weight, grad_variables=torch.ones(1))
            torch.nn.utils.clip_grad_norm([weight], 1.0)

            @torch.jit.script
            def compiled(x: torch.Tensor, y: torch.Tensor):
                gradient = torch.autograd.grad([y.sum()], [x], create_graph=True)[0]
                assert gradient is not None
                torch.autograd.backward([gradient.sum()])

            compiled(weight, weight**2)
            print(weight.grad)
        """,
    )
    ended = run_both(tmp_path, "script.py")
    ended.assert_same_output()
    assert ended.python.err.count("script.py:") >= 2  # torch 2.6 names its own line for one of them


def test_a_module_that_is_only_looked_for_is_imported_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, looked_for="found = 1")
    monkeypatch.syspath_prepend(tmp_path)
    imported: list[bool] = []
    finders = list(sys.meta_path)
    call_off = after_import("looked_for", lambda: imported.append("looked_for" in sys.modules))
    for _ in range(2):
        assert importlib.util.find_spec("looked_for") is not None
    assert not imported
    module = importlib.import_module("looked_for")
    assert imported == [True]
    assert module.found == 1
    assert "exec_module" not in vars(module.__loader__)
    assert sys.meta_path == finders
    call_off()
    del sys.modules["looked_for"]


PICKLED = """
import pickle, torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

class Files(Dataset):
    "As a folder of files has it, and workers that are spawned get it."
    def __init__(self, loader): self.loader = loader
    def __len__(self): return 4
    def __getitem__(self, index): return self.loader.__name__

functions = [torch.load, torch.autograd.backward, torch.autograd.grad, torch.nn.utils.clip_grad_norm_,
             torch.nn.utils.clip_grad_value_, F.cross_entropy, torch.optim.Optimizer.zero_grad,
             torch.nn.Module.load_state_dict, torch.amp.GradScaler.step]
print([pickle.loads(pickle.dumps(function)) is function for function in functions])
if __name__ == "__main__":
    print(list(DataLoader(Files(torch.load), 2, num_workers=1, multiprocessing_context="spawn")))
"""


def test_what_is_wrapped_can_be_pickled(tmp_path: Path) -> None:
    write(tmp_path, pickled=PICKLED)
    ended = run_both(tmp_path, "pickled.py")
    ended.assert_same_output()
    assert "False" not in ended.watch.out
    assert "[['load', 'load'], ['load', 'load']]" in ended.watch.out
