"""A GPU that died of a device-side assertion: it answers nothing any more, in this process."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

from torch import Tensor

ASSERTED = "device-side assert"  # in whatever it is asked after that


def died_of(error: BaseException) -> bool:
    return ASSERTED in str(error)


def leave_for_ever(pinned: Iterable[Tensor]) -> None:
    """Never give these back, not even at the process's end.

    To free memory that a GPU was copying from or to is to ask it whether it still is. torch asks within a destructor,
    where the error that comes back ends the process at once: before its own traceback, and with an exit code of its
    own.
    """
    for tensor in pinned:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(tensor))
