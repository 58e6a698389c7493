"""`with reid_smoke.watch():` around a loop: the same report object, and nothing of theirs is touched."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import reid_smoke
from reid_smoke.errors import UsageError
from reid_smoke.facts import AnyFact, CrashFacts, EndFacts, ProbeFault, StepFacts
from reid_smoke.ledger import Ledger
from reid_smoke.probes import measure
from reid_smoke.probes.observer import Observer
from reid_smoke.report.prose import what_to_do
from reid_smoke.watch import live
from tests.checks.tiny import Model, TinyTraining
from tests.warm import Warm
from tests.watch.both import watch, write


def steps(count: int, body: Callable[[Tensor, Tensor], Tensor], *, classes: int = 4) -> None:
    """Backward through `body` on the same few samples."""
    images, labels = torch.randn(8, 3, 8, 8), torch.arange(8) % classes
    for _ in range(count):
        body(images, labels).backward()


def weights(training: TinyTraining) -> list[Tensor]:
    return [t.clone() for t in training.model.state_dict().values()]


def train(count: int, **options: Any) -> TinyTraining:
    training = TinyTraining()
    training.steps = count
    training.train()
    return training


def test_the_report_is_the_one_on_disk(tmp_path: Path) -> None:
    said: list[str] = []
    with reid_smoke.watch("mine", window=(20, 30), out=tmp_path, say=said.append) as watch:
        train(40)
    assert watch.report is not None
    assert (watch.report.verdict, watch.report.ended, watch.report.way_in) == ("GO", "finished", "watch")
    assert watch.report.environment["device"] == "cpu"
    assert json.loads((tmp_path / "report.json").read_text())["verdict"] == "GO"
    assert len(Ledger.read(tmp_path / "facts.jsonl").steps) == 40
    assert said == [f"GO: {watch.report.reason}"]


def test_it_can_be_used_twice_in_a_row_but_not_in_itself(tmp_path: Path) -> None:
    backward, handler = torch.autograd.backward, signal.getsignal(signal.SIGTERM)
    for name in ("first", "second"):
        with reid_smoke.watch(name, window=(10, 15), out=tmp_path / name) as watch:
            with pytest.raises(UsageError, match=f"being watched already \\({name}\\)"):
                reid_smoke.watch("inner", out=tmp_path / "inner").start()
            train(16)
        assert watch.report is not None
        assert watch.report.global_step == 16
        with pytest.raises(UsageError, match="over"):
            watch.start()
    assert torch.autograd.backward is backward
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_window_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no window"):
        reid_smoke.watch(window=(30, 20), out=tmp_path)


def test_what_is_to_be_ignored_and_what_is_known(tmp_path: Path) -> None:
    class Twice(TinyTraining):
        steps = 20

        def train_step(self, images: Tensor, labels: Tensor) -> None:
            super().train_step(images, labels)
            self.optimizer.step()

    with reid_smoke.watch(window=(10, 15), out=tmp_path / "first") as first:
        Twice().train()
    wanted = {"ignore": {"RS407": "as the paper does"}, "baseline": tmp_path / "first" / "report.json"}
    with reid_smoke.watch(window=(10, 15), out=tmp_path / "second", **wanted) as second:
        Twice().train()
    assert first.report is not None
    assert second.report is not None
    assert [f.code for f in first.report.findings] == ["RS407"]
    assert second.report.findings == ()
    assert [(f.code, f.reason, f.known) for f in second.report.ignored] == [("RS407", "as the paper does", True)]
    with pytest.raises(UsageError, match="reason"):
        reid_smoke.watch(out=tmp_path / "third", ignore={"RS407": " "})
    assert not (tmp_path / "third").exists()


def test_their_exception_goes_on(tmp_path: Path) -> None:
    watch = reid_smoke.watch(window=(20, 30), out=tmp_path)

    def cell() -> None:
        with watch:
            train(5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cell()
    assert watch.report is not None
    assert (watch.report.verdict, watch.report.ended) == ("UNKNOWN", "crashed")
    crash = watch.ledger.first(CrashFacts)
    assert crash is not None
    assert (crash.step, crash.exception) == (5, "ZeroDivisionError")


def test_stop_leaves_the_block_past_their_handlers(tmp_path: Path) -> None:
    tidied = []

    class Stubborn(TinyTraining):
        steps = 100_000

        def train_step(self, images: Tensor, labels: Tensor) -> None:
            try:
                super().train_step(images, labels)
            except Exception:
                pytest.fail("an `except Exception` caught it")
            finally:
                tidied.append(self.step_number)

    with reid_smoke.watch(window=(20, 30), out=tmp_path, stop=True) as watch:
        Stubborn().train()
    assert watch.report is not None
    assert (watch.report.verdict, watch.report.ended, watch.report.global_step) == ("GO", "stopped", 30)
    assert tidied[-1] == 31  # the step after the window's last begins, and is not made


# --- what is unknown is said ----------------------------------------------------------------------------------------


def notes(watch: Any) -> str:
    assert watch.report.verdict == "UNKNOWN", watch.report.findings
    assert watch.judgement.exit_code == 3
    return " ".join(watch.report.notes)


def test_no_training(tmp_path: Path) -> None:
    with reid_smoke.watch(out=tmp_path) as watch:
        torch.ones(3).sum()
    assert "Waited for loss.backward(), and none came." in notes(watch)


def test_a_crash_before_training_waited_for_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModuleNotFoundError), reid_smoke.watch(out=tmp_path) as watch:
        importlib.import_module("reid_models_of_nobody")
    assert watch.report.verdict == "UNKNOWN"
    assert "Waited for" not in " ".join(watch.report.notes)


def test_another_loss(warm: Warm, tmp_path: Path) -> None:
    # In a process of its own: models and optimizers of other tests, which torch.compile keeps alive, are seen, too.
    write(
        tmp_path,
        script="""
            import torch
            from torch import nn
            model, x = nn.Linear(192, 4), torch.randn(8, 192)
            for _ in range(3):
                nn.functional.mse_loss(model(x), torch.zeros(8, 4)).backward()
            for _ in range(2):
                model(x).abs().mean().backward()
        """,
    )
    ended = watch(warm, tmp_path, "script.py")
    assert ended.code == 3
    assert "MseLoss < Addmm (3x), Mean < Abs < Addmm (2x)" in " ".join(ended.err.split())


def test_a_cross_entropy_that_cannot_be_recognised(tmp_path: Path) -> None:
    model = nn.Linear(192, 4)

    def pairwise(images: Tensor, labels: Tensor) -> Tensor:
        logits = model(images.flatten(1))
        return F.softplus(logits - logits.gather(1, labels[:, None])).mean()

    with reid_smoke.watch(out=tmp_path) as watch:
        steps(2, pairwise)
    assert "Waited for a cross-entropy over identities" in notes(watch)
    assert "Softplus" in notes(watch)


def test_a_loss_that_is_compiled_in_and_keeps_no_labels(tmp_path: Path) -> None:
    model = nn.Linear(192, 4)

    @torch.compile(backend="aot_eager")
    def loss(images: Tensor, labels: Tensor) -> Tensor:
        return F.softplus(model(images.flatten(1))).mean()

    with reid_smoke.watch(out=tmp_path) as watch:
        steps(2, loss)
    assert watch.report is not None
    assert "on what ends in CompiledFunction" in watch.report.reason
    assert "compile the model alone, not the loss" in notes(watch)


class CrossEntropyOfTheirOwn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        odds = logits.softmax(1)
        ctx.save_for_backward(odds, labels)
        return -odds[torch.arange(len(labels)), labels].log().mean()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        odds, labels = ctx.saved_tensors
        return gradients[0] * (odds - F.one_hot(labels, odds.shape[1])) / len(labels), None


def test_a_loss_in_a_function_of_their_own_is_named_with_what_to_put_in_its_place(tmp_path: Path) -> None:
    model = nn.Linear(192, 4)
    with reid_smoke.watch(out=tmp_path) as watch:
        steps(2, lambda images, labels: 0.5 * CrossEntropyOfTheirOwn.apply(model(images.flatten(1)), labels))
    assert watch.report is not None
    assert watch.report.reason.endswith(
        "What CrossEntropyOfTheirOwn computes cannot be seen, for it is an autograd.Function: if it is a "
        "cross-entropy, put F.cross_entropy(logits, labels) in its place while the training is watched."
    )


def test_a_function_of_their_own_below_the_loss_is_not_blamed(tmp_path: Path) -> None:
    model = nn.Linear(192, 4)
    with reid_smoke.watch(out=tmp_path) as watch:
        steps(2, lambda images, labels: F.softplus(Turn.apply(model(images.flatten(1)))).mean())
    assert watch.report is not None
    assert watch.report.reason.endswith("see that backward reaches one.")


class Turn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        return features.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return -gradients[0]


def test_the_amp_scale_of_a_step_is_the_one_that_its_loss_had(tmp_path: Path) -> None:
    model = Model(4)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0, growth_interval=1)  # doubles at each step
    images, labels = torch.randn(8, 3, 8, 8), torch.arange(8) % 4
    with reid_smoke.watch(out=tmp_path) as watch:
        for _ in range(4):
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(model(images)[0], labels)).backward()
            scaler.step(optimizer)
            scaler.update()
    assert [step.amp_scale for step in watch.ledger.steps] == [2, 4, 8, 16]
    assert [step.loss for step in watch.ledger.steps] == pytest.approx([step.ce for step in watch.ledger.steps])


@pytest.mark.parametrize(("done", "proposed"), [(45, "--window 30:45"), (12, "12 steps are too few")])
def test_fewer_steps_than_the_window(tmp_path: Path, done: int, proposed: str) -> None:
    with reid_smoke.watch(out=tmp_path) as watch:
        train(done)
    assert proposed in notes(watch)


def test_a_loop_whose_batches_ran_out_is_told_what_to_look_at(tmp_path: Path) -> None:
    """One generator for all epochs, and no loader behind it: only a plan can tell that more was to come."""
    training = TinyTraining()
    schedule = torch.optim.lr_scheduler.OneCycleLR(training.optimizer, 1e-3, total_steps=60)
    training.scheduler = schedule
    images, labels = torch.randn(16, 3, 8, 8), torch.arange(16)
    batches = ((images, labels) for _ in range(12))
    with reid_smoke.watch(out=tmp_path) as watch:
        for _ in range(5):
            for images, labels in batches:
                training.train_step(images, labels)
    assert watch.report is not None
    assert watch.report.reason == "The training ended by itself: 12 of the 300 steps that a verdict needs were seen."
    assert "OneCycleLR is made for 60 steps, and took 12." in notes(watch)
    assert "made anew for each epoch" in notes(watch)
    assert what_to_do(watch.report).startswith("let its loop go on, to step 300")


# --- faults of our own ----------------------------------------------------------------------------------------------


def test_a_probe_that_fails_changes_nothing_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = weights(train(20))

    def broken(*arguments: object) -> None:
        raise RuntimeError("a probe of ours")

    monkeypatch.setattr(measure, "feature_norms", broken)
    with reid_smoke.watch(window=(10, 20), out=tmp_path) as watch:
        got = weights(train(20))
    assert all(map(torch.equal, got, expected))
    assert {f.probe for f in watch.ledger.all(ProbeFault)} == {"feature_lengths"}
    assert watch.report is not None
    assert any("a probe of ours" in note for note in watch.report.notes), watch.report.notes


def test_hooks_that_cannot_be_put_up_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **named: object) -> None:
        raise RuntimeError("no such door")

    monkeypatch.setattr(Observer, "__init__", broken)
    with reid_smoke.watch(out=tmp_path) as watch:
        train(3)
    assert [(f.probe, f.message) for f in watch.ledger.all(ProbeFault)] == [("hooks", "RuntimeError: no such door")]
    assert watch.report is not None


def test_a_live_judgement_that_fails_leaves_the_one_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_early(ledger: Ledger, *, ended: bool) -> Any:
        raise RuntimeError("too early")

    monkeypatch.setattr(live, "judge", too_early)
    with reid_smoke.watch(window=(20, 30), out=tmp_path, stop=True) as watch:
        train(31)
    assert watch.report is not None
    assert (watch.report.verdict, watch.report.global_step) == ("GO", 31)
    assert [f.probe for f in watch.ledger.all(ProbeFault)] == ["live judgement"]


def test_a_listener_that_fails_does_not_reach_them(tmp_path: Path) -> None:
    def broken(fact: AnyFact) -> None:
        if isinstance(fact, StepFacts):
            raise RuntimeError("a display of ours")

    watch = reid_smoke.watch(window=(20, 30), out=tmp_path)
    watch.ledger.subscribe(broken)
    expected = weights(train(12))
    with watch:
        got = weights(train(12))
    assert all(map(torch.equal, got, expected))
    assert watch.report is not None
    assert any("a display of ours" in note for note in watch.report.notes)


def test_a_full_disk_does_not_reach_them(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (tmp_path / "facts.jsonl").symlink_to("/dev/full")
    with reid_smoke.watch(window=(20, 30), out=tmp_path) as watch:
        train(31)
    assert watch.report is not None
    assert watch.report.verdict == "GO"
    assert any("No space left" in note for note in watch.report.notes)


# --- long trainings -------------------------------------------------------------------------------------------------


def test_a_long_training_is_thinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, images, labels = Model(4), torch.randn(8, 3, 8, 8), torch.arange(8) % 4
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9999)
    with reid_smoke.watch(window=(10, 20), out=tmp_path) as watch:
        watch._observer.dense_until = 30
        for step in range(1, 501):
            F.cross_entropy(model(images)[0], labels).backward()
            if step % 11 == 0:  # accumulation must not hide between the steps that are kept
                optimizer.step()
                optimizer.zero_grad()
                scheduler.step()
    kept = [s.step for s in watch.ledger.steps]
    assert kept[:30] == list(range(1, 31))
    assert kept[30:] == [*range(33, 301, 11), *range(318, 501, 53)]
    end = watch.ledger.last(EndFacts)
    assert end is not None
    assert end.step == 500
    assert len((tmp_path / "facts.jsonl").read_text().splitlines()) < len(kept) + 80


# --- where it is used -----------------------------------------------------------------------------------------------


def test_the_package_imports_no_torch_until_it_must() -> None:
    program = """
import sys, reid_smoke
assert "torch" not in sys.modules
assert callable(reid_smoke.watch) and "watch" in dir(reid_smoke)
import reid_smoke.watch.ranks
assert callable(reid_smoke.watch)
assert "torch" not in sys.modules
try:
    reid_smoke.nothing
except AttributeError as error:
    print(error)
assert reid_smoke.sdm_loss.__name__ == "sdm_loss"
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "module 'reid_smoke' has no attribute 'nothing'\n"), ended.stderr
