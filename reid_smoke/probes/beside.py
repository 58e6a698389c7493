"""While a CUDA graph records a step, figures go on a branch of their own: replayed, they run beside the backward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class Beside:
    """One branch, opened and joined within one capture."""

    def __init__(self) -> None:
        self._stream: torch.cuda.Stream | None = None
        self._is_open = False
        self._read: list[Tensor] = []

    @contextmanager
    def branch(self) -> Iterator[None]:
        """What is launched inside waits for what was launched before; nothing that is launched later waits for it."""
        if self._stream is None:
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch ships no type for it
        self._stream.wait_stream(torch.cuda.current_stream())
        self._is_open = True
        with torch.cuda.stream(self._stream):
            yield

    def reads(self, *tensors: Tensor | None) -> None:
        """These must not be given back, and their memory used again, before the branch has joined. Where none is open
        nothing has to be kept: what a step computed would be held for ever."""
        if self._is_open:
            self._read += [tensor for tensor in tensors if tensor is not None]

    def join(self) -> None:
        if self._is_open and self._stream is not None:
            torch.cuda.current_stream().wait_stream(self._stream)
        self._is_open = False
        self._read.clear()
