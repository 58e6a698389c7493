"""A fault of ours must never stop or change somebody's training: it is written down, and they go on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, TypeVar

import torch
from torch.utils._python_dispatch import _disable_current_modes


class Accountable(Protocol):
    def fault(self, probe: str, error: BaseException) -> None: ...
    def disabled(self, probe: str) -> bool: ...


Method = TypeVar("Method", bound=Callable[..., Any])


@contextmanager
def past_their_modes() -> Iterator[None]:
    """What is computed inside is nobody else's to count or to change: a mode of theirs, as FlopCounterMode is one or
    torch.set_default_device makes one, sees the training alone."""
    if not torch._C._len_torch_dispatch_stack() and not torch._C._is_torch_function_mode_enabled():
        yield
        return
    with ExitStack() as modes:
        modes.enter_context(torch._C.DisableTorchFunction())
        modes.enter_context(_disable_current_modes())
        yield


def guarded(method: Method) -> Method:
    """A method that answers None instead of raising, and tells `self.fault` of what it would have raised."""
    name = method.__name__

    @functools.wraps(method)
    def safe(self: Accountable, *args: Any, **kwargs: Any) -> Any:
        if self.disabled(name):
            return None
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # whatever it is, it is ours, and theirs goes on
            self.fault(name, error)
            return None

    return safe  # type: ignore[return-value]  # functools.wraps keeps the signature, which mypy cannot see
