"""The faults, a file for each family of the catalogue. `all_faults` finds them."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from fault_bench.faults.register import Fault, registered


@cache
def all_faults() -> tuple[Fault, ...]:
    """Every fault, family by family, in the order in which they stand in their files."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return tuple(registered())
