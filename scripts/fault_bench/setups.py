"""The healthy trainings that faults are put into: they differ in data, head, losses, optimizer, sampler, schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fault_bench.parts import Change, Parts
from reid_smoke.build.model import BNNeckOutput


def as_planned(parts: Parts) -> None:
    """The plan says all there is."""


@dataclass(frozen=True)
class Setup:
    """A plan, and what is made of model and loss beyond what a plan can say."""

    name: str
    title: str
    plan: dict[str, Any]
    window: tuple[int, int]
    shape_model: Change = as_planned


class CosineHead(nn.Module):
    """Scaled cosines between feature and class weights, with a bias. (B, D) -> (B, C)."""

    def __init__(self, width: int, classes: int, scale: float = 16.0) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.empty(classes, width))
        self.bias = nn.Parameter(torch.zeros(classes))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, feature: Tensor) -> Tensor:
        return self.scale * F.linear(F.normalize(feature), F.normalize(self.weight)) + self.bias


def hardest_triplets(feature: Tensor, labels: Tensor, margin: float = 0.3) -> Tensor:
    """Triplet loss with each image's hardest positive and negative of the batch (Hermans et al. 2017); a scalar."""
    distance = (feature[:, None] - feature[None]).pow(2).sum(2).clamp_min(1e-12).sqrt()  # (B, B)
    same = labels[:, None] == labels[None]
    return F.relu((distance * same).amax(1) - (distance + 1e9 * same).amin(1) + margin).mean()


def beside_ce(other: Callable[[BNNeckOutput, Tensor], Tensor]) -> Change:
    """Add another loss to the one that is there."""

    def change(parts: Parts) -> None:
        ce = parts.loss
        parts.loss = lambda output, labels: ce(output, labels) + other(output, labels)

    return change


def _cosine_and_triplet(parts: Parts) -> None:
    width, classes = parts.neck.num_features, parts.model.bn_neck.classifier.out_features
    parts.head = CosineHead(width, classes)
    beside_ce(lambda output, labels: 0.2 * hardest_triplets(output.feature, labels))(parts)


def setups(omniglot: Path | None) -> list[Setup]:
    """All set-ups that there is data for."""
    head = r"^bn_neck\.classifier"
    pedestrians = {"source": "pedestrians", "identities": 64, "height": 32, "width": 16, "batch_size": 16}
    found = [
        Setup(
            name="bnneck",
            title="ResNet-18 with a BNNeck, the recipe, embedded pedestrians",
            plan={
                "data": {**pedestrians, "augment": ["flip"]},
                "model": {"backbone": "resnet18"},
                "optimizer": {"lr": 1e-4, "groups": [{"match": head, "lr": 1e-2}]},
            },
            window=(40, 70),
        ),
        Setup(
            name="cosine",
            title="cosine head with a bias, smoothed CE beside a triplet loss, SGD, PK sampling, warm-up per step",
            plan={
                "data": {**pedestrians, "augment": ["flip"], "sampler": "pk", "instances": 2},
                "model": {"backbone": "resnet18", "feat_norm": None},
                "loss": {"label_smoothing": 0.1},
                "optimizer": {"name": "sgd", "lr": 0.01, "weight_decay": 5e-4, "groups": [{"match": head, "lr": 0.2}]},
                "schedule": {"name": "warmup", "per": "step", "warmup": 10, "warmup_factor": 0.1},
            },
            window=(50, 80),
            shape_model=_cosine_and_triplet,
        ),
    ]
    if omniglot is not None:
        paper = {"mean": [0.92, 0.92, 0.92], "std": [0.25, 0.25, 0.25]}
        found.append(
            Setup(
                name="omniglot",
                title="real characters (Omniglot), Adam with one learning rate, no scaling of the feature",
                plan={
                    "data": {
                        "source": "market1501", "root": str(omniglot), "identities": 32, "height": 32, "width": 32,
                        "batch_size": 16, "augment": ["pad_crop"], **paper,
                    },
                    "model": {"backbone": "resnet18", "feat_norm": None},
                    "optimizer": {"name": "adam", "lr": 7e-4, "weight_decay": 5e-4, "groups": []},
                },
                window=(50, 90),
            )
        )  # fmt: skip
    return found
