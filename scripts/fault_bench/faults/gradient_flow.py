"""RS3: mistakes between the loss and the weights."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from fault_bench.faults.loss_and_logits import after_the_head, centres, loss_with
from fault_bench.faults.register import fault
from fault_bench.parts import Parts, override


def features_with(parts: Parts, change: Any) -> None:
    """Let the backbone's feature be `change(the backbone, images)`."""
    forward = type(parts.model.backbone).forward
    override(parts.model.backbone, forward=lambda self, images: change(partial(forward, self), images))


@fault("no-backward", at="built", structural=True, mended_by=("plain-loop",))
def backward_forgotten(parts: Parts) -> None:
    """The loss is computed, logged, and never sent backward."""

    def train(training: Any, *, max_steps: int, stop: Any) -> int:
        step = 0
        while step < max_steps:
            for images, labels, _ in training.loader:
                step += 1
                training.optimizer.zero_grad()
                training.loss(training.model(images), labels)
                training.optimizer.step()
                if stop(step) or step == max_steps:
                    return step
        return step

    parts.train = train


@fault(
    "head-not-in-optimizer",
    at="plan",
    structural=True,
    mended_by=("all-in-optimizer", "optimizer-rebuilt", "recipe-lr", "all-unfrozen", "reference-optimizer"),
)
def only_the_backbones_group(parts: Parts) -> None:
    """The optimizer is handed the backbone alone."""
    optimizer = parts.plan["optimizer"]
    optimizer.update(groups=[{"match": "^backbone", "lr": optimizer["lr"]}], lr=None)


@fault(
    "head-frozen",
    at="plan",
    structural=True,
    # Its group is gone, too: once unfrozen, it may need an lr of its own.
    mended_by=("all-unfrozen", "recipe-lr", "fresh-head", "reference-model"),
)
def caught_by_a_freeze_pattern(parts: Parts) -> None:
    """A freeze pattern of another model's catches the new head."""
    parts.plan["model"]["freeze"] = ["classifier"]
    optimizer = parts.plan["optimizer"]
    optimizer["groups"] = [g for g in optimizer["groups"] if "classifier" not in g["match"]]


@fault("loss-does-not-reach-head", at="model", structural=True, mended_by=("plain-loop",))
def logits_detached(parts: Parts) -> None:
    """CE on detached logits, beside another loss that is not."""
    loss_with(
        parts,
        lambda loss, out, y: torch.nn.functional.cross_entropy(out.logits.detach(), y) + 0.1 * centres(out.feature, y),
    )


@fault("loss-does-not-reach-backbone", at="model", structural=True, mended_by=("reference-model",))
def feature_detached(parts: Parts) -> None:
    """The pooled feature is detached before the neck."""
    features_with(parts, lambda forward, images: forward(images).detach())


@fault("loss-does-not-reach-backbone", at="model", structural=True, mended_by=("reference-model",))
def feature_made_without_grad(parts: Parts) -> None:
    """Feature extraction code turned into training code, `no_grad` and all."""

    def change(forward: Any, images: Tensor) -> Tensor:
        with torch.no_grad():
            feature: Tensor = forward(images)
        return feature

    features_with(parts, change)


@fault("zero-grad-before-step", at="built", structural=True, mended_by=("plain-loop",))
def zeroed_between(parts: Parts) -> None:
    """The order is backward, zero_grad, step."""

    def around(step: Any) -> Any:
        parts.optimizer.zero_grad()
        return step()

    parts.step_with(around)


@fault(
    "optimizer-never-steps",
    at="plan",
    structural=True,
    mended_by=("no-accumulation", "plain-loop", "reference-optimizer"),
)
def accumulates_for_ever(parts: Parts) -> None:
    """Accumulation counts to a number that is never reached."""
    parts.plan["train"] = {"accumulate": 100_000}


@fault("optimizer-never-steps", at="built", structural=True, mended_by=("plain-loop",))
def step_forgotten(parts: Parts) -> None:
    """`step()` was lost when the loop was moved."""
    parts.optimizer.step = lambda *args, **kwargs: None  # type: ignore[method-assign, assignment]


@fault("skipped-by-gradscaler", at="built", mended_by=("plain-loop", "reference-model"))
def infinite_at_every_scale(parts: Parts) -> None:
    """A gradient that is infinite whatever the scale is, and a GradScaler that waits for a finite one."""
    parts.scale_with(2.0**16)
    weight = parts.head_parameters()[0]
    weight.register_hook(lambda gradient: torch.full_like(gradient, float("inf")))


@fault("clipped-to-nothing", at="plan", mended_by=("no-clipping", "plain-loop", "reference-optimizer"))
def limit_copied_from_elsewhere(parts: Parts) -> None:
    """The norm is clipped at a millionth of a millionth."""
    parts.plan["train"] = {"clip": {"norm": 1e-12}}


@fault(
    "clipped-to-nothing",
    at="plan",
    not_on=("cosine",),
    mended_by=("no-clipping", "plain-loop", "recipe-lr", "reference-optimizer"),
)
def small_limit_under_sgd(parts: Parts) -> None:
    """SGD, and a norm clipped at 1e-4."""
    parts.plan["optimizer"].update(name="sgd", lr=0.05, groups=[])
    parts.plan["train"] = {"clip": {"norm": 1e-4}}


@fault("zero-grad-missing", at="built", structural=True, mended_by=("plain-loop",))
def never_zeroed(parts: Parts) -> None:
    """No zero_grad in the loop."""
    parts.optimizer.zero_grad = lambda *args, **kwargs: None  # type: ignore[method-assign]


@fault("head-gradient-zero", at="model", structural=True, mended_by=("fresh-head", "reference-model"))
def clamped_away(parts: Parts) -> None:
    """The logits are clamped at a limit above all of them."""
    after_the_head(parts, lambda logits: logits.clamp(min=30.0))


@fault("backbone-gradient-zero", at="model", mended_by=("reference-model",))
def gradient_scaled_with_zero(parts: Parts) -> None:
    """A hook that was to scale the feature's gradient multiplies it with 0."""

    def change(forward: Any, images: Tensor) -> Tensor:
        feature: Tensor = forward(images)
        if feature.requires_grad:
            feature.register_hook(lambda gradient: 0 * gradient)
        return feature

    features_with(parts, change)


@fault("accumulates-too-long", at="plan", mended_by=("no-accumulation", "plain-loop", "reference-optimizer"))
def accumulation_counted_in_images(parts: Parts) -> None:
    """Accumulation meant in images, counted in batches."""
    parts.plan["train"] = {"accumulate": 32}
