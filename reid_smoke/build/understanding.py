"""What a model of the user's own gives, found out by trying: its logits, its head, and what that is fed.

As little as possible has to be said. One small batch goes through the model before training, and what is unambiguous in
it is taken: the output as wide as there are identities is the logits, the layer that made it is the head, and what that
layer was given is the feature that CE is fed. What was taken is in `Understood`, for people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from reid_smoke.build.outputs import losses_in, pick, shapes, tensors_in
from reid_smoke.build.own_model import OwnForward, Understood
from reid_smoke.build.targets import in_a_line, show, signature_of
from reid_smoke.config.schema import ModelConfig
from reid_smoke.errors import ModelError, nearest

SAMPLES = 4


def understand(
    model: nn.Module, config: ModelConfig, num_classes: int, *, height: int, width: int
) -> tuple[OwnForward, Understood]:
    """Send a small batch of noise through the model, on the CPU, and find logits, head and feature.

    Buffers and the random generator are as before afterwards. Raises ModelError where the model does not take the call
    (its signature is shown), raises, gives no logits of `num_classes`, or more than one that could be meant.
    """
    model.train()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(SAMPLES, 3, height, width, generator=generator)  # (B, 3, H, W)
    labels = torch.arange(SAMPLES) // 2 % num_classes  # (B,): pairs, as losses over triplets want them
    cameras = torch.zeros(SAMPLES, dtype=torch.int64)  # (B,)
    forward = OwnForward(model, config)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.random.fork_rng(devices=[]), _recorded(model) as calls:
        try:
            output = forward.raw(images, labels, cameras)
        except Exception as error:
            show(error)
            raise ModelError(_did_not_take(model, config, error)) from error
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
    understood = _understood(model, config, num_classes, output, calls)
    return OwnForward(model, config, understood), understood


def _understood(
    model: nn.Module, config: ModelConfig, num_classes: int, output: Any, calls: list[tuple[str, Any, Any]]
) -> Understood:
    guessed = []
    logits_selector = config.logits
    logits: Tensor | None = None
    if logits_selector is not None:
        logits = pick("logits", output, logits_selector)
        if logits.ndim != 2 or logits.shape[1] != num_classes:
            raise ModelError(
                f"model.logits: {logits_selector or 'the output'} is {tuple(logits.shape)} for {SAMPLES} images, and "
                f"there are {num_classes} identities: (B, {num_classes}) is needed. The model gives: {shapes(output)}"
            )
    else:
        fitting = [(at, t) for at, t in tensors_in(output) if t.ndim == 2 and t.shape == (SAMPLES, num_classes)]
        if fitting:
            # Of several, as TransReID's heads give them, the first: that is the global one throughout the field.
            logits_selector, logits = fitting[0]
            guessed.append("logits")
        elif not losses_in(output):
            raise ModelError(
                f"model.target: no output of {config.target} is as wide as there are identities, {num_classes}. "
                f"It gives: {shapes(output)}. Give its classifier that width by model.kwargs, or name model.logits"
            )
    modules = dict(model.named_modules())
    head_module, head = _head(model, config.head, num_classes, logits, calls)
    if config.head is None and head is not None:
        guessed.append("head")
    fed = next((inputs for name, inputs, _ in reversed(calls) if name == head_module), None)
    fed_by = None
    if isinstance(fed, Tensor):
        made = [n for n, _, result in calls if isinstance(result, Tensor) and _same(result, fed) and n != head_module]
        # A dropout in eval, or an Identity, hands on what it is given: who made it comes first.
        fed_by = made[0] if made else None
    feature_selector = config.bn_feature
    if feature_selector is not None:
        pick("bn_feature", output, feature_selector)
    elif isinstance(fed, Tensor):
        feature_selector = next((at for at, tensor in tensors_in(output) if _same(tensor, fed)), None)
        if feature_selector is not None:
            guessed.append("bn_feature")
    norm = isinstance(modules.get(fed_by or ""), (nn.modules.batchnorm._BatchNorm, nn.LayerNorm))
    return Understood(
        logits=logits_selector, feature=feature_selector, head=head, fed_by=fed_by, neck=fed_by if norm else None,
        guessed=tuple(guessed),
    )  # fmt: skip


def _head(
    model: nn.Module, pattern: str | None, num_classes: int, logits: Tensor | None, calls: list[tuple[str, Any, Any]]
) -> tuple[str | None, str | None]:
    """The classifier's module and the name of its weight; None where there is none to be told."""
    named = dict(model.named_parameters())
    if pattern is not None:
        found = [name for name, parameter in named.items() if re.search(pattern, name) and parameter.ndim >= 2]
        if not found:
            near = nearest(pattern, list(named)) or list(named)[-3:]
            raise ModelError(f"model.head: {pattern!r} is found in none of the weights. Nearest: {', '.join(near)}")
        return found[0].rpartition(".")[0], found[0]
    if logits is not None:
        for name, _, result in calls:
            if isinstance(result, Tensor) and _same(result, logits) and f"{name}.weight" in named:
                return name, f"{name}.weight"
    fitting = [name for name, p in named.items() if p.ndim == 2 and num_classes in p.shape]
    return (fitting[0].rpartition(".")[0], fitting[0]) if len(fitting) == 1 else (None, None)


@contextmanager
def _recorded(model: nn.Module) -> Iterator[list[tuple[str, Any, Any]]]:
    """Name, first input and output of each module's call, innermost first."""
    calls: list[tuple[str, Any, Any]] = []

    def hook(name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        return lambda module, inputs, output: calls.append((name, inputs[0] if inputs else None, output))

    handles = [module.register_forward_hook(hook(name)) for name, module in model.named_modules() if name]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _same(a: Tensor, b: Tensor) -> bool:
    return a is b or (a.shape == b.shape and a.data_ptr() == b.data_ptr())


def _did_not_take(model: nn.Module, config: ModelConfig, error: Exception) -> str:
    signature = signature_of(model.forward)
    said = f"model.call: {config.target} was called with ({config.call}) and raised {in_a_line(error)}."
    return f"{said} Its forward takes {signature}" if signature is not None else said
