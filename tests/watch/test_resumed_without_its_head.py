"""A script that resumes from a file, and leaves the head out of what it loads, as people write it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

import reid_smoke
from tests.checks.tiny import Crops, Model

IDENTITIES = 24
OLDER_RUN = 120  # steps


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    loader = DataLoader(Crops(IDENTITIES), 16, shuffle=True, drop_last=True)
    while True:
        yield from loader


def build() -> tuple[nn.Module, torch.optim.Optimizer]:
    model = Model(IDENTITIES)
    return model, torch.optim.Adam(model.parameters(), lr=3.5e-4, weight_decay=5e-4)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    model.train()
    for _, (images, labels) in zip(range(steps), batches(), strict=False):
        optimizer.zero_grad()
        score, _ = model(images)
        F.cross_entropy(score, labels).backward()
        optimizer.step()


def filtered(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """What has another number of classes elsewhere is left out, here as well."""
    model.load_state_dict({k: w for k, w in weights.items() if not k.startswith("classifier")}, strict=False)


def one_by_one(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """strong-baseline's `load_param`."""
    for name in weights:
        if "classifier" in name:
            continue
        model.state_dict()[name].copy_(weights[name])


def all_of_it(model: nn.Module, weights: dict[str, Tensor]) -> None:
    model.load_state_dict(weights)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model, optimizer = build()
    train(model, optimizer, OLDER_RUN)
    path = tmp_path_factory.mktemp("older run") / "checkpoint.pth"
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
    return path


def resumed(checkpoint: Path, load: Callable[[nn.Module, dict[str, Tensor]], None], out: Path) -> Any:
    torch.manual_seed(1)
    with reid_smoke.watch(window=(30, 45), out=out) as watch:
        model, optimizer = build()
        saved = torch.load(checkpoint, weights_only=True)
        load(model, saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        train(model, optimizer, 45)
    assert watch.report is not None
    return watch.report


@pytest.mark.parametrize("load", [filtered, one_by_one], ids=lambda load: load.__name__)
def test_the_missing_head_is_named(
    load: Callable[[nn.Module, dict[str, Tensor]], None], checkpoint: Path, tmp_path: Path
) -> None:
    report = resumed(checkpoint, load, tmp_path)
    assert [finding.code for finding in report.findings][:1] == ["RS510"], report.findings
    assert "120 steps" in report.findings[0].evidence
    assert "did not bring the head's weight" in report.findings[0].evidence


def test_of_one_that_came_back_with_the_rest_nothing_is_said(checkpoint: Path, tmp_path: Path) -> None:
    report = resumed(checkpoint, all_of_it, tmp_path)
    assert (report.verdict, [finding.code for finding in report.findings]) == ("GO", [])
