"""The replay of a watched training: where the fault lies, in styles of calling, and that keeping changes nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

import reid_smoke
from reid_smoke.report.document import Report
from tests.checks.tiny import Crops
from tests.warm import Warm
from tests.watch.both import watch, write
from tests.watch.styles import (
    STYLES,
    ByHand,
    Compiled,
    CompiledEagerly,
    DictOfLosses,
    HeadOfItsOwn,
    ScaledAndAccumulated,
    Style,
    SubCentres,
)

WINDOW, STEPS = (20, 30), 36
Spoil: TypeAlias = Callable[[Style], None]


class Shuffled(Crops):
    """A label is drawn anew each time its image is asked for."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], int(torch.randint(24, ()))


def train(training: Style, crops: Crops, steps: int = STEPS) -> None:
    loader, done = DataLoader(crops, 16, shuffle=True, drop_last=True), 0
    while True:
        for images, labels in loader:
            training.step(images, labels)
            done += 1
            if done == steps:
                return


def watched(style: type[Style], folder: Path, spoil: Spoil = lambda training: None, crops: Any = Crops) -> Report:
    torch.manual_seed(0)
    training = style()
    spoil(training)
    with reid_smoke.watch(window=WINDOW, out=folder, triage=True, say=lambda sentence: None) as watch:
        train(training, crops())
    assert watch.report is not None
    return watch.report


def in_the_loop(training: Style) -> None:
    """The gradients are thrown away between backward and the optimizer's step."""

    def sick(images: Tensor, labels: Tensor) -> Tensor:
        loss, logits = training.loss(images, labels)
        loss.backward()
        for optimizer in training.optimizers:
            optimizer.zero_grad()
            optimizer.step()
        return logits.detach()

    training.step = sick  # type: ignore[method-assign]


def in_the_optimizer(training: Style) -> None:
    for optimizer in training.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = 1e-9


def in_the_model(training: Style) -> None:
    """An activation that lets nothing through stands before the neck."""
    training.model.register_forward_pre_hook(_blind)


def _blind(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    first = given[0]
    return ({**first, "images": 0 * first["images"]},) if isinstance(first, dict) else (0 * first, *given[1:])


THREE = [Style, DictOfLosses, HeadOfItsOwn]


def conclusion(report: Report) -> str:
    assert report.verdict == "NO-GO", report.reason
    assert report.proof is not None
    return report.proof.conclusion


@pytest.mark.parametrize("style", THREE)
@pytest.mark.parametrize(
    ("spoil", "crops", "part"),
    [
        (in_the_loop, Crops, "The fault lies in the loop or in the loss"),
        (in_the_optimizer, Crops, "CE falls with their optimizer at an lr of 0.001"),
        (lambda training: None, Shuffled, "The fault lies in the data"),
    ],
    ids=["loop", "optimizer", "data"],
)
def test_the_sentence_points_at_the_part(
    tmp_path: Path, style: type[Style], spoil: Spoil, crops: Any, part: str
) -> None:
    report = watched(style, tmp_path / "out", spoil, crops)
    assert part in conclusion(report), report.trials


def test_a_model_that_sees_nothing(tmp_path: Path) -> None:
    """Only a swap finds it, and the reference model on their batches takes some seconds: in one style."""
    report = watched(DictOfLosses, tmp_path / "out", in_the_model)
    assert "The fault lies in the model" in conclusion(report)
    assert report.proof is not None
    assert report.proof.trial == "the reference model"


# Of sub-centres the model gives all, and plain functions pick the nearest.
NOT_REPLAYED = (Compiled, CompiledEagerly, ByHand, SubCentres)


@pytest.mark.parametrize("style", [s for s in STYLES if s not in (*NOT_REPLAYED, *THREE)])
def test_every_way_of_calling_is_replayed(tmp_path: Path, style: type[Style]) -> None:
    assert "The fault lies in the loop" in conclusion(watched(style, tmp_path / "out", in_the_loop))


def without_backward(training: Style) -> None:
    def sick(images: Tensor, labels: Tensor) -> Tensor:
        _, logits = training.loss(images, labels)
        for optimizer in training.optimizers:
            optimizer.step()
        return logits.detach()

    training.step = sick  # type: ignore[method-assign]


def detached(training: Style) -> None:
    """The logits are cut off from their model, and another loss goes backward."""

    def sick(images: Tensor, labels: Tensor) -> Tensor:
        for optimizer in training.optimizers:
            optimizer.zero_grad()
        logits, feature = training.model(images)
        loss = F.cross_entropy(logits.detach(), labels) + 1e-4 * feature.pow(2).mean()
        loss.backward()
        for optimizer in training.optimizers:
            optimizer.step()
        return logits.detach()

    training.step = sick  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("style", "spoil", "code"),
    [
        (Style, without_backward, "RS301"),
        (HeadOfItsOwn, without_backward, "RS301"),
        (Style, detached, "RS304"),
    ],
)
def test_what_never_goes_backward_is_played_all_the_same(
    tmp_path: Path, style: type[Style], spoil: Spoil, code: str
) -> None:
    report = watched(style, tmp_path / "out", spoil)
    assert report.findings[0].code == code
    assert "The fault lies in the loop or in the loss" in conclusion(report)
    assert report.trials[0].distinct_batches == 8


class Uncopied(Style):
    def __init__(self) -> None:
        super().__init__()
        self.model.last = torch.zeros(1, requires_grad=True) * 2  # a tensor with a history: deepcopy refuses it


class PlainBetween(HeadOfItsOwn):
    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        assert self.criterion is not None
        logits = self.criterion(F.normalize(self.model(images)))
        return F.cross_entropy(logits, labels), logits


@pytest.mark.parametrize(
    ("style", "why"),
    [
        (Uncopied, "No trials: the model or its optimizer cannot be copied (RuntimeError: Only Tensors created"),
        (PlainBetween, "No trials: plain functions compute what one module hands to the next"),
        (CompiledEagerly, "No trials: the model is compiled"),
    ],
)
def test_what_cannot_be_replayed_is_said(tmp_path: Path, style: type[Style], why: str) -> None:
    report = watched(style, tmp_path / "out", in_the_loop)
    assert conclusion(report).startswith(why)
    assert report.trials == ()


@pytest.mark.parametrize("style", [Style, DictOfLosses, HeadOfItsOwn, ScaledAndAccumulated])
def test_keeping_changes_nothing_of_the_training(tmp_path: Path, style: type[Style]) -> None:
    def final(folder: Path | None) -> tuple[list[Tensor], Tensor, float]:
        torch.manual_seed(0)
        random.seed(0)
        training = style()
        if folder is None:
            train(training, Crops(), 12)
        else:
            with reid_smoke.watch(window=WINDOW, out=folder, triage=True, say=lambda sentence: None):
                train(training, Crops(), 12)
        return [p.detach() for p in training.parameters()], torch.rand(3), random.random()

    plain, kept = final(None), final(tmp_path / "out")
    assert all(torch.equal(a, b) for a, b in zip(plain[0], kept[0], strict=True))
    assert torch.equal(plain[1], kept[1])
    assert plain[2] == kept[2]


class Noisy(Style):
    """Its forward draws from all three generators."""

    def make_model(self) -> nn.Module:
        model = super().make_model()
        model.register_forward_pre_hook(_noise)
        return model


def _noise(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    return (given[0] + 1e-6 * (random.random() + np.random.random() + torch.rand(())), *given[1:])


def test_trials_leave_weights_and_random_states_and_the_module_class_alone(tmp_path: Path) -> None:
    call, backward = nn.Module.__call__, torch.autograd.backward
    training = Noisy()
    in_the_optimizer(training)

    def everything() -> list[Tensor]:
        inside = [t for optimizer in training.optimizers for state in optimizer.state.values() for t in state.values()]
        kept = [*training.model.state_dict().values(), *inside, *(p.grad for p in training.parameters())]
        return [tensor.detach().clone() for tensor in kept if tensor is not None]

    with reid_smoke.watch(window=WINDOW, out=tmp_path / "out", triage=True, say=lambda sentence: None) as watch:
        train(training, Crops())
        before = everything()
        state, others, of_numpy = torch.get_rng_state(), random.getstate(), np.random.get_state()[1:3]
    assert watch.report is not None
    assert len(watch.report.trials) > 1
    assert all(torch.equal(a, b) for a, b in zip(everything(), before, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == others
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state()[1:3], of_numpy, strict=True))
    assert nn.Module.__call__ is call
    assert torch.autograd.backward is backward
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


class PatchedForward(Style):
    """As mixed-precision wrappers do it: the new forward holds the old one, bound to the model it was made for."""

    def make_model(self) -> nn.Module:
        model = super().make_model()
        forward = model.forward
        model.forward = lambda images: forward(images)  # type: ignore[method-assign]
        return model


def test_a_copy_that_would_train_the_original_is_not_played(tmp_path: Path) -> None:
    report = watched(PatchedForward, tmp_path / "out", in_the_loop)
    assert "holds on to the model itself" in conclusion(report)
    assert [trial.steps for trial in report.trials] == [0]


def test_a_step_too_long_for_the_time_is_said_before_any_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reid_smoke.triage.from_replay.BUDGET_S", 1e-3)
    report = watched(Style, tmp_path / "out", in_the_optimizer)
    assert conclusion(report).startswith("No trials: a step takes ")
    assert "Watch it with smaller images and batches" in conclusion(report)
    assert report.trials == ()


def frozen_backbone_by_detach(training: Style) -> None:
    training.model.base.register_forward_hook(lambda module, given, made: made.detach())  # type: ignore[union-attr]


def test_a_training_whose_ce_fell_is_not_replayed(tmp_path: Path) -> None:
    """A No-Go for what CE does not show: that the plain loop learns, too, says nothing of the script's."""
    report = watched(Style, tmp_path / "out", frozen_backbone_by_detach)
    assert [finding.slug for finding in report.findings][:1] == ["loss-does-not-reach-backbone"]
    assert conclusion(report).startswith("No trials: CE fell in the training itself")


def test_without_triage_nothing_is_kept_and_after_a_go_nothing_is_tried(tmp_path: Path) -> None:
    training = Style()
    in_the_optimizer(training)
    with reid_smoke.watch(window=WINDOW, out=tmp_path / "without", say=lambda sentence: None) as watch:
        train(training, Crops())
    assert watch.report is not None
    assert (watch.report.verdict, watch.report.trials, watch.report.proof) == ("NO-GO", (), None)
    report = watched(Style, tmp_path / "go")
    assert (report.verdict, report.trials, report.proof) == ("GO", (), None)


SCRIPT = """
    from tests.triage.test_replay import Crops, Style, in_the_loop, train

    training = Style()
    in_the_loop(training)
    train(training, Crops(), 100_000)
"""


def test_on_the_command_line_with_stop(warm: Warm, tmp_path: Path) -> None:
    write(tmp_path, script=SCRIPT)
    ended = watch(warm, tmp_path, "--triage", "--stop", "--window", "20:30", "--out", "out", "script.py")
    assert (ended.code, ended.out) == (1, "")
    assert "reid-smoke: kept 3 batches and the model's start for the trials: " in ended.err
    assert "The fault lies in the loop" in " ".join(ended.err.split())
    report = Report.model_validate_json((tmp_path / "out" / "report.json").read_bytes())
    assert report.ended == "stopped"
    assert [trial.learned for trial in report.trials] == [True]


def held_twice(training: Style) -> None:
    """The head is in a second optimizer, too, whose decay takes it away in each step."""
    head: Any = training.model.classifier
    training.optimizers.append(torch.optim.SGD(head.parameters(), lr=1.0, weight_decay=1.0))


def test_what_two_optimizers_hold_is_held_once_by_the_optimizer_rebuilt(tmp_path: Path) -> None:
    said = conclusion(watched(Style, tmp_path / "out", held_twice))
    assert "but with their optimizer rebuilt from the model's parameters CE comes down to" in said


def warm_up_in_the_loop(training: Style) -> None:
    """What is kept before the first step has the whole lr, of which the loop lets a small part through."""
    for optimizer in training.optimizers:
        _rising(optimizer)


def _rising(optimizer: torch.optim.Optimizer) -> None:
    whole, taken, step = [group["lr"] for group in optimizer.param_groups], count(1), optimizer.step

    def rising() -> None:
        share = min(1.0, next(taken) / 1e5)
        for group, lr in zip(optimizer.param_groups, whole, strict=True):
            group["lr"] = share * lr
        step()

    optimizer.step = rising  # type: ignore[method-assign]


def test_a_warm_up_in_the_loop_is_played_at_the_lr_that_it_came_to(tmp_path: Path) -> None:
    report = watched(Style, tmp_path / "out", warm_up_in_the_loop)
    assert "CE falls with their lr as it is before the schedule" in conclusion(report)
    assert not report.trials[0].learned


def another_that_stands_still(training: Style) -> None:
    """The scheduler holds on to the optimizer that it was built with; the loop steps one made later."""
    (built,) = training.optimizers
    training.schedulers = [torch.optim.lr_scheduler.ConstantLR(built, 1.0)]
    training.optimizers = [torch.optim.SGD(built.param_groups[0]["params"], lr=1e-9)]


def test_an_optimizer_that_never_steps_is_not_played(tmp_path: Path) -> None:
    said = conclusion(watched(Style, tmp_path / "out", another_that_stands_still))
    assert "lr of" in said
    assert "lies in neither" not in said


class Damped(torch.optim.Optimizer):
    """An optimizer of the user's own, with a number of its own."""

    def __init__(self, params: Any, lr: float, damping: float) -> None:
        super().__init__(params, {"lr": lr})
        self.damping = damping

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.add_(parameter.grad, alpha=-group["lr"] / self.damping)


def damped_at_a_tiny_lr(training: Style) -> None:
    (built,) = training.optimizers
    training.optimizers = [Damped(built.param_groups[0]["params"], lr=1e-9, damping=0.01)]


def test_an_optimizer_with_attributes_of_its_own_is_played(tmp_path: Path) -> None:
    assert "lr of" in conclusion(watched(Style, tmp_path / "out", damped_at_a_tiny_lr))
