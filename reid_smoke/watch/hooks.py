"""Put the observer at PyTorch's doors, and take it away again.

A door is wrapped only where PyTorch offers no hook: `torch.autograd.backward` (every `loss.backward()` goes through it,
GradScaler's and Accelerate's too), zero_grad, clipping, GradScaler, and the DataLoader's iterators. Optimizer steps
have a global hook of their own, which does not fire when GradScaler skips a step: that is how a skip is told.
"""

from __future__ import annotations

import functools
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch._compile import _disable_dynamo
from torch.jit._builtins import _register_builtin
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.data.dataloader import _BaseDataLoaderIter

from reid_smoke.probes import nodes
from reid_smoke.probes.observer import Observer

COMPILES_CLIPPING = torch.__version__ >= "2.7"  # before, torch itself breaks out of it (compared as versions)
_known_to_jit: list[Callable[..., Any]] = []  # kept, so that no other function is given the id of one of these


@contextmanager
def observing(observer: Observer) -> Iterator[Observer]:
    """While inside, `observer` is told of every backward, step, clip, zero_grad and batch in this process."""
    undo: list[Callable[[], None]] = []
    try:
        _install(observer, undo)
        yield observer
    finally:
        for take_away in reversed(undo):
            take_away()


def _install(observer: Observer, undo: list[Callable[[], None]]) -> None:
    def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        original = owner.__dict__[name]
        wrapped = _passed_over(make(original))
        setattr(owner, name, wrapped)

        def restore() -> None:
            if owner.__dict__.get(name) is wrapped:  # somebody else may have wrapped it after us: leave theirs alone
                setattr(owner, name, original)

        undo.append(restore)

    replace(torch.autograd, "backward", lambda original: _backward(original, observer))
    replace(torch.autograd, "grad", lambda original: _grad(original, observer))
    replace(Optimizer, "zero_grad", lambda original: _then(original, observer.zeroed))
    replace(nn.Module, "zero_grad", lambda original: _in_one_piece(original, _then(original, observer.zeroed)))
    load = _then(torch.load, observer.file_read)
    for module in (torch, torch.serialization):  # whoever pickles it finds it by its own name, where it has to be, too
        replace(module, "load", functools.partial(_instead, load))
    replace(nn.Module, "load_state_dict", lambda original: _load(original, observer))
    replace(Optimizer, "load_state_dict", lambda original: _load_optimizer(original, observer))
    replace(_BaseDataLoaderIter, "__next__", lambda original: _next_batch(original, observer))
    # Both names of each clipping function: users import either.
    for name in ("clip_grad_norm_", "clip_grad_value_"):
        original = torch.nn.utils.__dict__[name]
        watched = _clip(original, observer)
        clip = _in_one_piece(original, watched) if COMPILES_CLIPPING else _disable_dynamo(watched)
        for module in (torch.nn.utils, torch.nn.utils.clip_grad):
            replace(module, name, functools.partial(_instead, clip))
    replace(torch.amp.GradScaler, "scale", lambda original: _scale(original, observer))
    replace(torch.amp.GradScaler, "unscale_", lambda original: _then(original, observer.unscaled))
    replace(torch.amp.GradScaler, "step", lambda original: _scaler_step(original, observer))
    replace(torch.cuda.CUDAGraph, "capture_begin", lambda original: _capture_begin(original, observer))
    replace(torch.cuda.CUDAGraph, "capture_end", lambda original: _capture_end(original, observer))
    replace(torch.cuda.CUDAGraph, "replay", lambda original: _replay(original, observer))
    if not nodes.TELLS_OF_HOOKS:
        replace(torch.autograd.graph.saved_tensors_hooks, "__init__", _deaf_to_us)
    for name in ("cross_entropy_loss", "nll_loss_nd"):  # beneath torch.nn.functional, which torch.jit compiles
        replace(torch._C._nn, name, lambda original: _labels_first(original, observer))
    undo.append(register_optimizer_step_pre_hook(lambda opt, args, kwargs: observer.step_begins(opt)).remove)
    undo.append(register_optimizer_step_post_hook(lambda opt, args, kwargs: observer.step_ended(opt)).remove)


def _passed_over(function: Any) -> Any:
    """Python attributes a warning to whoever called what warns (stacklevel=2), and so do the filters of warnings. It
    passes over frames of its own import system, which it knows by their file's name: ours lie between in the same way.
    """
    function.__code__ = function.__code__.replace(co_filename=f"{__file__}:importlib._bootstrap")
    return function


def _instead(new: Any, original: Any) -> Any:
    return new


def _in_one_piece(original: Callable[..., Any], watched: Callable[..., Any]) -> Callable[..., Any]:
    """What torch.compile can take into one piece with what stands around it (fullgraph=True), we must not break out of
    it by being told."""

    @functools.wraps(original)
    def either(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return original(*args, **kwargs)
        return watched(*args, **kwargs)

    _passed_over(watched)
    return either


def _then(original: Callable[..., Any], tell: Callable[[], None]) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        tell()
        return result

    return wrapped


def _load(original: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    @functools.wraps(original)
    def load_state_dict(self: Any, *args: Any, **kwargs: Any) -> Any:
        strict = kwargs.get("strict", args[1] if len(args) > 1 else True)
        given, where = args[0] if args else kwargs.get("state_dict"), _called_from(sys._getframe(1))
        observer.model_loads(self, given, where)
        result = original(self, *args, **kwargs)
        observer.model_loaded(self, given)
        if not strict:
            observer.loaded(self, given, result, where)
        return result

    return load_state_dict


def _load_optimizer(original: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    @functools.wraps(original)
    def load_state_dict(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = observer.rates_before_load(self)
        result = original(self, *args, **kwargs)
        observer.optimizer_loaded(self, before, _called_from(sys._getframe(1)))
        return result

    return load_state_dict


def _called_from(caller: FrameType) -> str:
    return f"{Path(caller.f_code.co_filename).name}:{caller.f_lineno}"


def _backward(original: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    told = weakref.ref(observer)

    @functools.wraps(original)
    def backward(*args: Any, **kwargs: Any) -> Any:
        listener = told()
        if listener is not None:
            listener.backward_begins(_argument(args, kwargs, 0, "tensors"))
        result = original(*args, **kwargs)
        if listener is not None:
            listener.backward_ended()
        return result

    return _known_to_jit_as("backward", backward)


def _argument(args: tuple[Any, ...], kwargs: dict[str, Any], place: int, *names: str) -> Any:
    """What was given at that place or by one of these names; None: neither, and the call is theirs to fail."""
    return args[place] if len(args) > place else next((kwargs[name] for name in names if name in kwargs), None)


def _grad(original: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    """Who asks for the gradients themselves and puts them into `.grad` by hand goes backward, too."""

    told = weakref.ref(observer)

    @functools.wraps(original)
    def grad(*args: Any, **kwargs: Any) -> Any:
        outputs, inputs = _argument(args, kwargs, 0, "outputs"), _argument(args, kwargs, 1, "inputs")
        # Where the graph is kept, backward is still to come: a penalty, or gradients that are only compared.
        is_kept = _argument(args, kwargs, 3, "retain_graph") or _argument(args, kwargs, 4, "create_graph")
        listener = told()
        if listener is not None:
            listener.gradients_asked(outputs, inputs, is_last=not is_kept)
        return original(*args, **kwargs)

    return _known_to_jit_as("grad", _in_one_piece(original, grad))


def _next_batch(original: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    @functools.wraps(original)
    def next_batch(self: Any) -> Any:
        observer.batch_requested(self)
        asked = time.perf_counter()
        try:
            batch = original(self)
        except StopIteration:
            observer.epoch_ended(self)
            raise
        observer.batch_fetched(self, time.perf_counter() - asked, batch)
        return batch

    return next_batch


def _labels_first(original: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    """On a GPU a label out of range is seen before the loss or never; so is, anywhere, what never goes backward."""
    told = weakref.ref(observer)

    def loss(*args: Any, **kwargs: Any) -> Any:
        if not torch.compiler.is_compiling():
            listener = told()
            if listener is not None:
                ignored = _argument(args, kwargs, 4, "ignore_index")  # after weight and reduction
                listener.labels_go_in(
                    _argument(args, kwargs, 0, "self", "input"),
                    _argument(args, kwargs, 1, "target"),
                    -100 if ignored is None else ignored,
                )
        return original(*args, **kwargs)

    return _known_to_jit_as(original.__name__, loss)


def _known_to_jit_as(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A script that torch.jit compiles means the operation, whoever stands in its place. The table goes by id.

    It outlives the watch, and the function with it; the observer, and the training that it knows, must not: the
    function refers to them weakly.
    """
    _register_builtin(function, f"aten::{name}")
    _known_to_jit.append(function)
    return function


def _clip(original: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    @functools.wraps(original)
    def clip(*args: Any, **kwargs: Any) -> Any:
        observer.clip_begins()
        total = original(*args, **kwargs)
        observer.clip_ended(total, _argument(args, kwargs, 1, "max_norm", "clip_value"))
        return total

    return clip


def _scale(original: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    @functools.wraps(original)
    def scale(self: Any, outputs: Any) -> Any:
        result = original(self, outputs)
        observer.scaled(self)
        return result

    return scale


def _scaler_step(original: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    @functools.wraps(original)
    def step(self: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        observer.scaler_step_begins()
        result = original(self, optimizer, *args, **kwargs)
        observer.scaler_step_ended()
        return result

    return step


def _deaf_to_us(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.unpack_hook = nodes.deaf_to_us(self.unpack_hook)

    return init


def _capture_begin(original: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    @functools.wraps(original)
    def capture_begin(self: Any, *args: Any, **kwargs: Any) -> Any:
        observer.capture_begins()
        return original(self, *args, **kwargs)

    return capture_begin


def _capture_end(original: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    @functools.wraps(original)
    def capture_end(self: Any) -> Any:
        observer.capture_ends()
        try:
            return original(self)
        finally:
            observer.capture_ended(self)

    return capture_end


def _replay(original: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    @functools.wraps(original)
    def replay(self: Any) -> Any:
        observer.replay_begins()
        result = original(self)
        observer.replayed(self)
        return result

    return replay
