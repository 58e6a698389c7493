"""See a training that is not ours. The package can be called: `with reid_smoke.watch() as w:`, see `in_code.watch`."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """Importing anything below `reid_smoke.watch` makes that name mean this package, so the package is the function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from reid_smoke.watch.in_code import watch

        return watch(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
