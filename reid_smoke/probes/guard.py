"""A fault of ours must never stop or change somebody's training: it is written down, and they go on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, TypeVar

import torch
from torch._compile import _disable_dynamo
from torch.utils._python_dispatch import _disable_current_modes

try:  # of torch's own, and nowhere promised
    from torch._C._dynamo.eval_frame import get_eval_frame_callback
except ImportError:
    get_eval_frame_callback = None  # type: ignore[assignment]

# torch 2.6 raises a TypeError in their step; those in between were not tried.
GOES_AROUND = get_eval_frame_callback is not None and torch.__version__ >= "2.11"  # compared as versions
Method = TypeVar("Method", bound=Callable[..., Any])


class Accountable(Protocol):
    def fault(self, probe: str, error: BaseException) -> None: ...

    @property
    def switched_off(self) -> Container[str]: ...  # names of probes that failed too often


def they_have_modes() -> bool:
    """Whether a mode of theirs looks at what is computed, as FlopCounterMode is one or torch.set_default_device makes
    one."""
    return bool(torch._C._len_torch_dispatch_stack() or torch._C._is_torch_function_mode_enabled())


@contextmanager
def past_their_modes() -> Iterator[None]:
    """What is computed inside is nobody else's to count or to change: modes of theirs see the training alone."""
    if not they_have_modes():
        yield
        return
    with ExitStack() as modes:
        modes.enter_context(torch._C.DisableTorchFunction())
        modes.enter_context(_disable_current_modes())
        yield


class NoGradients:
    """As `torch.no_grad()`, which goes through six functions of Python's: between two steps of a training none of them
    is in the processor's caches any more, and on a GPU the training waits for them."""

    def __enter__(self) -> None:
        self._were = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)

    def __exit__(self, *raised: object) -> None:
        torch._C._set_grad_enabled(self._were)


def not_compiled(method: Method) -> Method:
    """What torch.compile leaves as it is, whether it looks through what calls this, or is in the midst of running it.

    torch's own decorator does that, too; where nothing is being compiled, which is nearly always, it is gone around.
    """
    apart = _disable_dynamo(method)
    if not GOES_AROUND:
        return apart  # type: ignore[return-value]  # of the same signature

    def either(*args: Any, **kwargs: Any) -> Any:
        if get_eval_frame_callback() is not None:
            return apart(*args, **kwargs)
        return method(*args, **kwargs)

    # Its own frame is torch's to pass over, as that of the decorator is: such files are never compiled.
    either.__code__ = either.__code__.replace(co_filename=torch._compile.__file__)
    return functools.wraps(method)(either)  # type: ignore[return-value]  # of the same signature


def guarded(method: Method) -> Method:
    """A method that answers None instead of raising, and tells `self.fault` of what it would have raised."""
    name = method.__name__

    @functools.wraps(method)
    def safe(self: Accountable, *args: Any, **kwargs: Any) -> Any:
        if name in self.switched_off:
            return None
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # whatever it is, it is ours, and theirs goes on
            self.fault(name, error)
            return None

    return safe  # type: ignore[return-value]  # functools.wraps keeps the signature, which mypy cannot see
