"""What a model of the user's own gives, found out by trying: its logits, its head, and what that is fed.

As little as possible has to be said. One small batch goes through the model before training, and what is unambiguous in
it is taken: the output as wide as there are identities is the logits, the layer that made it is the head, and what that
layer was given is the feature that CE is fed. What was taken is in `Understood`, for people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from reid_smoke.build.outputs import losses_in, pick, shapes, tensors_in
from reid_smoke.build.own_model import OwnForward, Understood
from reid_smoke.build.targets import show, signature_of
from reid_smoke.config.schema import ModelConfig
from reid_smoke.errors import ModelError, in_a_line, nearest

SAMPLES, WORDS = 4, 16  # of the batch that is tried, and of each of its captions


def understand(
    model: nn.Module,
    config: ModelConfig,
    num_classes: int,
    *,
    height: int,
    width: int,
    vocabulary: int = 0,
    head_in_loss: bool = False,
) -> tuple[OwnForward, Understood]:
    """Send a small batch of noise through the model, on the CPU, and find logits, head and feature.

    vocabulary: numbers that a caption's words may be; 0 of a set without captions.
    head_in_loss: the model gives features and nothing else; no logits are looked for.

    Buffers and the random generator are as before afterwards. Raises ModelError where the model does not take the call
    (its signature is shown), raises, gives no logits of `num_classes`, or more than one that could be meant.
    """
    model.train()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(SAMPLES, 3, height, width, generator=generator)  # (B, 3, H, W)
    labels = torch.arange(SAMPLES) // 2 % num_classes  # (B,): pairs, as losses over triplets want them
    cameras = torch.zeros(SAMPLES, dtype=torch.int64)  # (B,)
    tokens = torch.randint(vocabulary, (SAMPLES, WORDS), generator=generator) if vocabulary else None  # (B, L)
    forward = OwnForward(model, config)
    with trial(model), _recorded(model) as calls:
        try:
            output = forward.raw(images, labels, cameras, tokens)
        except Exception as error:  # their model's own
            show(error)
            raise ModelError(_did_not_take(model, config, error)) from error
    understood = _given_out(output, config) if head_in_loss else _understood(model, config, num_classes, output, calls)
    return OwnForward(model, config, understood), understood


@contextmanager
def trial(module: nn.Module) -> Iterator[None]:
    """Buffers and the random generator are afterwards as they were."""
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    with torch.random.fork_rng(devices=[]):
        yield
    with torch.no_grad():
        for name, buffer in module.named_buffers():
            buffer.copy_(buffers[name])


def _given_out(output: Any, config: ModelConfig) -> Understood:
    """Which of the tensors is the feature that the loss is given."""
    selector = config.bn_feature
    if selector is not None:
        feature = pick("bn_feature", output, selector)
        if feature.ndim != 2:
            raise ModelError(
                f"model.bn_feature: {selector or 'the output'} is {tuple(feature.shape)}, not (B, D). "
                f"The model gives: {shapes(output)}"
            )
        return _features(selector, feature)
    fitting = [(at, tensor) for at, tensor in tensors_in(output) if tensor.ndim == 2 and len(tensor) == SAMPLES]
    if len(fitting) != 1:
        which = f"{len(fitting)} outputs" if fitting else "no output"
        raise ModelError(
            f"model.bn_feature: the loss is given features (B, D), and {which} of {config.target} could be meant. "
            f"Name one; the model gives: {shapes(output)}"
        )
    return _features(*fitting[0], guessed=("bn_feature",))


def _features(selector: str, feature: Tensor, guessed: tuple[str, ...] = ()) -> Understood:
    return Understood(
        logits=None, feature=selector, head=None, fed_by=None, neck=None,
        head_in_loss=True, feature_width=feature.shape[1], guessed=guessed,
    )  # fmt: skip


def _understood(model: nn.Module, config: ModelConfig, num_classes: int, output: Any, calls: list[_Call]) -> Understood:
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
    classified = next((call for call in reversed(calls) if call.name == head_module), None)
    fed = classified.given if classified is not None else None
    fed_by = _maker(calls, classified, modules)
    feature_selector = config.bn_feature
    if feature_selector is not None:
        pick("bn_feature", output, feature_selector)
    elif fed is not None:
        feature_selector = next((at for at, tensor in tensors_in(output) if _same(tensor, fed)), None)
        if feature_selector is not None:
            guessed.append("bn_feature")
    norm = isinstance(modules.get(fed_by or ""), (nn.modules.batchnorm._BatchNorm, nn.LayerNorm))
    return Understood(
        logits=logits_selector, feature=feature_selector, head=head, fed_by=fed_by, neck=fed_by if norm else None,
        fed_norm=float(fed.detach().flatten(1).norm(dim=1).mean()) if fed is not None else None, guessed=tuple(guessed),
    )  # fmt: skip


def _head(
    model: nn.Module, pattern: str | None, num_classes: int, logits: Tensor | None, calls: list[_Call]
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
        for call in calls:
            if _same(call.made, logits) and f"{call.name}.weight" in named:
                return call.name, f"{call.name}.weight"
    fitting = [name for name, p in named.items() if p.ndim == 2 and num_classes in p.shape]
    return (fitting[0].rpartition(".")[0], fitting[0]) if len(fitting) == 1 else (None, None)


@dataclass(frozen=True)
class _Call:
    """A module's call: its first input, its output, and how often each had been written over by then."""

    name: str
    given: Tensor | None
    made: Tensor | None
    given_version: int
    made_version: int


@contextmanager
def _recorded(model: nn.Module) -> Iterator[list[_Call]]:
    """Each module's call, innermost first."""
    calls: list[_Call] = []

    def hook(name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            given, made = (one if isinstance(one, Tensor) else None for one in (inputs[0] if inputs else None, output))
            versions = [0 if one is None else one._version for one in (given, made)]
            calls.append(_Call(name, given, made, *versions))

        return note

    handles = [module.register_forward_hook(hook(name)) for name, module in model.named_modules() if name]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _maker(calls: list[_Call], of: _Call | None, modules: dict[str, nn.Module]) -> str | None:
    """The module that made what a call was given, behind any dropout; None where no module did."""
    if of is None or of.given is None:
        return None
    # An Identity, or a dropout in eval, hands on what it is given: who made it comes first. An activation in place
    # writes it over, and what was there before is another one's.
    made = [c for c in calls if c.name != of.name and _same(c.made, of.given) and c.made_version == of.given_version]
    if made and isinstance(modules[made[0].name], _DropoutNd):
        return _maker(calls[: calls.index(made[0])], made[0], modules) or made[0].name
    return made[0].name if made else None


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    if a is None or b is None:
        return False
    return a is b or (a.shape == b.shape and a.data_ptr() == b.data_ptr())


def _did_not_take(model: nn.Module, config: ModelConfig, error: Exception) -> str:
    signature = signature_of(model.forward)
    said = f"model.call: {config.target} was called with ({config.call}) and raised {in_a_line(error)}."
    return f"{said} Its forward takes {signature}" if signature is not None else said
