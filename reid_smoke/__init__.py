"""Go or No-Go for a re-identification training within 300 steps, with the cause and its mend."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from reid_smoke.build.sdm import sdm_loss as sdm_loss

# Found when asked for: importing them here would import torch before anybody needs it.
_LAZY = {"watch": ("reid_smoke.watch", None), "sdm_loss": ("reid_smoke.build.sdm", "sdm_loss")}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    found = import_module(module)
    return found if attribute is None else getattr(found, attribute)


def __dir__() -> list[str]:
    return [*globals(), *_LAZY]
