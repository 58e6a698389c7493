"""A model of the user's own: imported by name, called as it wants to be, and its outputs told apart.

As little as possible has to be said. One small batch goes through the model before training, and what is unambiguous in
it is taken: the output as wide as there are identities is the logits, the layer that made it is the head, and what that
layer was given is the feature that CE is fed. What was taken is in `Understood`, for people.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from reid_smoke.build.image_text import ImageTextOutput
from reid_smoke.build.model import BNNeckOutput
from reid_smoke.config.schema import ModelConfig
from reid_smoke.errors import ModelError, nearest


class Forward(Protocol):
    """Calls a model with a batch as it wants to be called. `beside`: cameras (B,), or tokens (B, L)."""

    def __call__(self, images: Tensor, labels: Tensor, beside: Tensor) -> BNNeckOutput | ImageTextOutput | Tensor: ...

    def over(self, model: nn.Module) -> Forward:
        """The same call of another module: of what keeps the model the same on all ranks, say."""
        ...


SAMPLES = 4
CLASS_ARGUMENTS = ("num_classes", "class_num", "num_class", "n_classes", "nclasses", "num_pids", "num_ids")
_STEP = re.compile(r"\[(?:(-?\d+)|'([^']*)'|\"([^\"]*)\")\]")


@dataclass(frozen=True)
class Understood:
    """How a model was understood: selectors in the config's words, names in the model's."""

    logits: str | None  # selector; None: the model computes its losses itself
    feature: str | None  # selector of what the classifier is fed, where the model gives it out
    head: str | None  # name of the classifier's weight
    fed_by: str | None  # module whose output the classifier is fed
    neck: str | None  # that module, where it is a norm
    guessed: tuple[str, ...] = ()  # which of the model's keys were found, not given


def make_model(config: ModelConfig, num_classes: int) -> nn.Module:
    """Import `config.target` and call it with `config.kwargs`; a class argument by a usual name is filled in.

    Only what the user names is imported; `config.cwd`, or else the working directory, leads sys.path meanwhile. Raises
    ModelError: no such module or name, an exception of theirs (after its traceback on stderr), something else than a
    module.
    """
    target = config.target
    assert target is not None
    module_name, _, path = target.partition(":")
    folder = (config.cwd or Path()).resolve()
    if not folder.is_dir():
        raise ModelError(f"model.cwd: {config.cwd} is no folder. It is the one that model.target is imported from")
    with _importing_from(folder):
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not (module_name == error.name or module_name.startswith(f"{error.name}.")):
                _show(error)
                raise ModelError(f"model.target: {module_name} imports {error.name}, which is not installed") from error
            raise ModelError(
                f"model.target: there is no module {error.name} in {folder} or in the environment. "
                "Name the folder that it is imported from as model.cwd"
            ) from error
        except Exception as error:
            _show(error)
            raise ModelError(f"model.target: importing {module_name} raised {_in_a_line(error)}") from error
        for name in path.split("."):
            if not hasattr(found, name):
                near = nearest(name, [known for known in dir(found) if not known.startswith("_")])
                hint = f" Nearest: {', '.join(near)}" if near else ""
                raise ModelError(f"model.target: {module_name} has no {path}.{hint}")
            found = getattr(found, name)
        made = found if isinstance(found, nn.Module) else _call(found, config, num_classes)
    if not isinstance(made, nn.Module):
        raise ModelError(f"model.target: {target} gave {_kind(made)}, not a torch.nn.Module")
    return made


def _call(factory: Any, config: ModelConfig, num_classes: int) -> Any:
    if not callable(factory):
        raise ModelError(f"model.target: {config.target} is {_kind(factory)}: neither a module nor a factory of one")
    signature = _signature(factory)
    kwargs = dict(config.kwargs)
    taken = signature.parameters if signature is not None else {}
    kwargs.update({name: num_classes for name in CLASS_ARGUMENTS if name in taken and name not in kwargs})
    if signature is not None:
        try:
            signature.bind(**kwargs)
        except TypeError as error:
            raise ModelError(
                f"model.kwargs: {config.target} takes {signature}, and was to be called with "
                f"{', '.join(kwargs) or 'nothing'}: {error}"
            ) from error
    try:
        return factory(**kwargs)
    except Exception as error:
        _show(error)
        raise ModelError(f"model.target: {config.target} raised {_in_a_line(error)}") from error


class OwnForward:
    """Calls the model with a batch, and picks logits and feature out of what it gives.

    In training: a BNNeckOutput, or a scalar where the model gives a dict of losses, which are summed.
    """

    def __init__(self, model: nn.Module, config: ModelConfig, understood: Understood | None = None) -> None:
        self._model = model
        self._config, self._understood = config, understood
        self._call = config.call
        self._logits = understood.logits if understood else None
        self._feature = understood.feature if understood else None

    def raw(self, images: Tensor, labels: Tensor, cameras: Tensor) -> Any:
        """Whatever the model returns."""
        if self._call == "images":
            return self._model(images)
        if self._call == "images, labels":
            return self._model(images, labels)
        if self._call == "images, labels, cam, view":
            return self._model(images, labels, cam_label=cameras, view_label=torch.zeros_like(cameras))
        return self._model({"images": images, "pids": labels, "targets": labels, "labels": labels, "camids": cameras})

    def over(self, model: nn.Module) -> OwnForward:
        """The same call of another module."""
        return OwnForward(model, self._config, self._understood)

    def __call__(self, images: Tensor, labels: Tensor, beside: Tensor) -> BNNeckOutput | Tensor:
        output = self.raw(images, labels, beside)
        if self._logits is None:
            return torch.stack([loss for _, loss in losses_in(output)]).sum()
        logits: Tensor = select(output, self._logits)
        feature: Tensor = select(output, self._feature) if self._feature is not None else logits
        return BNNeckOutput(logits, feature, feature)


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
            _show(error)
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
        logits = _given("logits", output, logits_selector)
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
        _given("bn_feature", output, feature_selector)
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


# --- selectors ------------------------------------------------------------------------------------------------------


def select(output: Any, selector: str) -> Any:
    """`[0]['logits']` of an output; "" is the output itself. Raises LookupError or TypeError as indexing does."""
    for number, quoted, double in _STEP.findall(selector):
        output = output[int(number)] if number else output[quoted or double]
    return output


def tensors_in(output: Any, at: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor of nested tuples, lists and dicts with its selector, in order."""
    if isinstance(output, Tensor):
        yield at, output
    elif isinstance(output, dict):
        for key, value in output.items():
            yield from tensors_in(value, f"{at}[{key!r}]")
    elif isinstance(output, (tuple, list)):
        for index, value in enumerate(output):
            yield from tensors_in(value, f"{at}[{index}]")


def losses_in(output: Any) -> list[tuple[str, Tensor]]:
    """The losses of a dict: its scalars that have a history and are called so, or all that have one."""
    if not isinstance(output, dict):
        return []
    scalars = [(k, v) for k, v in output.items() if isinstance(v, Tensor) and v.numel() == 1 and v.requires_grad]
    return [(key, value.reshape(())) for key, value in scalars if "loss" in str(key)] or scalars


def shapes(output: Any) -> str:
    """The tensors of an output by selector, for people."""
    found = [f"{at or 'itself'} {tuple(tensor.shape)}" for at, tensor in tensors_in(output)]
    return ", ".join(found[:8]) + (", ..." if found[8:] else "") if found else _kind(output)


def _given(key: str, output: Any, selector: str) -> Tensor:
    try:
        found = select(output, selector)
    except (LookupError, TypeError) as error:
        raise ModelError(f"model.{key}: the output has no {selector}. The model gives: {shapes(output)}") from error
    if not isinstance(found, Tensor):
        raise ModelError(
            f"model.{key}: {selector or 'the output'} is {_kind(found)}, no tensor. The model gives: {shapes(output)}"
        )
    return found


# --- seeing and saying ----------------------------------------------------------------------------------------------


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


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """sys.path begins with the folder. What is imported stays; the path does not."""
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _did_not_take(model: nn.Module, config: ModelConfig, error: Exception) -> str:
    signature = _signature(model.forward)
    said = f"model.call: {config.target} was called with ({config.call}) and raised {_in_a_line(error)}."
    return f"{said} Its forward takes {signature}" if signature is not None else said


def _signature(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # written in C
        return None


def _show(error: BaseException) -> None:
    """The traceback, cut to the user's frames: neither ours nor torch's tell them anything."""
    hidden = (str(Path(__file__).parents[1]), str(Path(torch.__file__).parent), str(Path(importlib.__file__).parent))
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((*hidden, "<frozen "))
    ]
    if frames:
        print("Traceback (most recent call last):", file=sys.stderr)
        print("".join(traceback.format_list(frames)), end="", file=sys.stderr)
        print("".join(traceback.format_exception_only(type(error), error)), end="", file=sys.stderr)


def _in_a_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
