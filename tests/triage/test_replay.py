"""The replay of a watched training: where the fault lies, in styles of calling, and that watching it changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import reid_smoke
from reid_smoke.report.document import Report
from tests.checks.tiny import Crops
from tests.watch.styles import STYLES, Compiled, CompiledEagerly, DictOfLosses, HeadOfItsOwn, Style

WINDOW, STEPS = (30, 40), 48
Spoil = Callable[[Style], None]


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


def no_step(training: Style) -> None:
    """The loop: gradients are clipped to nothing before the optimizer sees them."""
    for parameter in training.parameters():
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(lambda p: p.grad.mul_(0) if p.grad is not None else None)


def in_the_loop(training: Style) -> None:
    """The gradients are thrown away between backward and the optimizer's step."""
    step = training.step

    def sick(images: Tensor, labels: Tensor) -> Tensor:
        _, logits = training.loss(images, labels)
        training.loss(images, labels)[0].backward()
        for optimizer in training.optimizers:
            optimizer.zero_grad()
            optimizer.step()
        return logits.detach()

    training.step = sick if step is not None else step  # type: ignore[method-assign]


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


@pytest.mark.parametrize("style", THREE)
@pytest.mark.parametrize(
    ("spoil", "crops", "part"),
    [
        (in_the_loop, Crops, "The fault lies in the loop or in the loss"),
        (in_the_optimizer, Crops, "CE falls with their optimizer at an lr of 0.001"),
        (in_the_model, Crops, "The fault lies in the model"),
        (lambda training: None, Shuffled, "The fault lies in the data"),
    ],
    ids=["loop", "optimizer", "model", "data"],
)
def test_the_sentence_points_at_the_part(
    tmp_path: Path, style: type[Style], spoil: Spoil, crops: Any, part: str
) -> None:
    report = watched(style, tmp_path / "out", spoil, crops)
    assert report.verdict == "NO-GO", report.reason
    assert report.proof is not None
    assert part in report.proof.conclusion, (report.proof.conclusion, report.trials)


@pytest.mark.parametrize("style", [s for s in STYLES if s not in (Compiled, *THREE)])
def test_every_style_is_replayed_or_said_not_to_be(tmp_path: Path, style: type[Style]) -> None:
    report = watched(style, tmp_path / "out", in_the_loop)
    if style in (CompiledEagerly,) or report.verdict == "UNKNOWN":
        return
    assert report.proof is not None
    assert "The fault lies in the loop" in report.proof.conclusion, report.proof.conclusion
