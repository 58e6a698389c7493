"""Do something once a module has been imported, without importing it.

Importing torch ahead of the script would not be as python does it: OMP_NUM_THREADS that the script sets would come too
late, torch's and NumPy's warning filters too early, and a script without torch would wait for it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def after_import(name: str, then: Callable[[], None]) -> Callable[[], None]:
    """Call `then` when `name` has been imported: now, where it has been already. Returns what calls that off."""
    if name in sys.modules:
        then()
        return lambda: None
    finder = _Finder(name, then)
    sys.meta_path.insert(0, finder)
    return finder.remove


class _Finder(MetaPathFinder):
    """Finds nothing itself: it lets the others find the module, and listens to its loader."""

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self._name = name
        self._then = then
        self._asks = False

    def remove(self) -> None:
        with suppress(ValueError):
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name or self._asks:
            return None
        self._asks = True  # the others, who ask here again
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asks = False
        if spec is None or spec.loader is None:
            return None
        loader = spec.loader
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module  # the loader is as it was
            self.remove()
            try:
                execute(module)
            except BaseException:
                sys.meta_path.insert(0, self)  # they may mend it and import once more
                raise
            self._then()

        # Found is not imported: who only asks whether there is such a module imports it later, or never.
        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
