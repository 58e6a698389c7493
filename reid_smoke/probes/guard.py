"""A fault of ours must never stop or change somebody's training: it is written down, and they go on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol, TypeVar


class Accountable(Protocol):
    def fault(self, probe: str, error: BaseException) -> None: ...
    def disabled(self, probe: str) -> bool: ...


Method = TypeVar("Method", bound=Callable[..., Any])


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
