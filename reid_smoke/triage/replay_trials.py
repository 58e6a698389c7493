"""The trials of a replay, and which of them would change something in somebody's training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from reid_smoke.probes.groups import lr_set
from reid_smoke.triage.replay_forward import images_of_batch
from reid_smoke.triage.replay_kept import Kept
from reid_smoke.triage.trial import Trial

LR_HEAD, LR_OTHERS = 1e-3, 1e-4  # of the reference; a feature of any norm bears this, unlike the recipe's
SGD_LR_HEAD, SGD_LR_OTHERS = 2e-2, 1e-2  # whose steps are as long as the gradient; about what TransReID trains with


@dataclass(frozen=True)
class Replay:
    """What is played. lr_factor: of the lr that their optimizer had before its first step."""

    data: Literal["theirs", "embedded"] = "theirs"
    model: Literal["theirs", "reference"] = "theirs"
    optimizer: Literal["theirs", "reference"] = "theirs"
    lr_factor: float = 1.0
    base_lr: bool = False
    reference_lr: bool = False
    everything: bool = False  # whatever asks for a gradient is in the optimizer, once
    decay: bool = True
    unfrozen: bool = False
    training_mode: bool = False
    dropout: bool = True
    fresh_head: bool = False


def trials_of(kept: Kept, lr_factor: float) -> tuple[Trial[Replay], ...]:
    """Those that would change something in what was kept."""
    parts = kept.parts
    groups = [group for optimizer in parts.optimizers for group in optimizer.param_groups]
    places = Counter(id(p) for group in groups for p in group["params"])
    parameters = [p for _, p in parts.parameters()]
    modules = [m for root in parts.modules for m in root.modules()]
    left_out_or_held_twice = any(p.requires_grad and places[id(p)] != 1 for p in parameters)
    frozen = any(not p.requires_grad for p in parameters)
    # A loop that sets the lr itself leaves the whole one in what was kept only where it lowers it later.
    scheduled = lr_factor < 1 or any(lr_set(group) not in (None, group["lr"]) for group in groups)
    lr_head, lr_others = usual_lr(of_head(parts.optimizers, parts.head)) if parts.optimizers else (LR_HEAD, LR_OTHERS)
    images = images_of_batch(kept.batches[0]) is not None
    trials: list[Trial[Replay] | None] = [
        Trial(
            "their optimizer rebuilt from the model's parameters",
            lambda r: replace(r, everything=True),
            mends=("RS302", "RS404", "RS405", "RS406", "RS411"),
            slug="optimizer-rebuilt",
        )
        if left_out_or_held_twice
        else None,
        Trial(
            "their lr as it is before the schedule",
            lambda r: replace(r, base_lr=True),
            mends=("RS401", "RS402", "RS408", "RS412", "RS416", "RS417", "RS203"),
            slug="constant-lr",
        )
        if scheduled
        else None,
        Trial(
            f"their optimizer at an lr of {lr_head:g} for the head and {lr_others:g} for the rest",
            lambda r: replace(r, reference_lr=True),
            mends=("RS401", "RS402", "RS403", "RS408", "RS412", "RS416", "RS203", "RS204", "RS201"),
            slug="recipe-lr",
        ),
        Trial("no weight decay", lambda r: replace(r, decay=False), mends=("RS409",), slug="usual-decay")
        if any(group.get("weight_decay") for group in groups)
        else None,
        Trial(
            "everything unfrozen",
            lambda r: replace(r, unfrozen=True, everything=True),
            mends=("RS303", "RS505", "RS509", "RS511", "RS305"),
            slug="all-unfrozen",
        )
        if frozen
        else None,
        Trial(
            "every module in training mode",
            lambda r: replace(r, training_mode=True),
            mends=("RS506", "RS507", "RS503"),
            slug="training-mode",
        )
        if not all(module.training for module in modules)
        else None,
        Trial("no dropout", lambda r: replace(r, dropout=False), mends=("RS508",), slug="no-dropout")
        if any(is_dropout(module) for module in modules)
        else None,
        Trial(
            "a fresh BNNeck head on their features",
            lambda r: replace(r, fresh_head=True),
            mends=("RS502", "RS501", "RS205", "RS206", "RS207", "RS311", "RS410", "RS204"),
            slug="fresh-head",
        ),
        Trial(
            "the reference optimizer",
            lambda r: replace(r, optimizer="reference", everything=True),
            swap="optimizer",
            slug="reference-optimizer",
        ),
        Trial(
            "the reference model",
            lambda r: replace(r, model="reference"),
            swap="model",
            slug="reference-model",
        )
        if images
        else None,
        Trial(
            "the embedded data",
            lambda r: replace(r, data="embedded"),
            swap="data",
            slug="embedded-data",
        )
        if images
        else None,
    ]
    return tuple(trial for trial in trials if trial is not None)


def usual_lr(optimizer: Optimizer) -> tuple[float, float]:
    """Of the head, and of the rest."""
    return (SGD_LR_HEAD, SGD_LR_OTHERS) if isinstance(optimizer, SGD) else (LR_HEAD, LR_OTHERS)


def of_head(optimizers: Sequence[Optimizer], head: Tensor | None) -> Optimizer:
    """The optimizer that holds the head; where none does, the first."""
    holds = (o for o in optimizers if any(p is head for group in o.param_groups for p in group["params"]))
    return next(holds, optimizers[0])


def is_dropout(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0
