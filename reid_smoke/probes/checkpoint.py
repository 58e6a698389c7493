"""What a script's own `load_state_dict(strict=False)` left out, which it says nothing of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from reid_smoke.facts import WeightsFacts


def not_arrived(module: nn.Module, state_dict: object, result: Any, where: str) -> WeightsFacts | None:
    """What of the checkpoint the module has no place for; None where all of it arrived, be it of a part of the model.

    result: what load_state_dict returned, (missing_keys, unexpected_keys). where: file and line of the call.
    """
    if not isinstance(state_dict, Mapping):
        return None
    missing, unexpected, given = map(_weights, (*result, state_dict))
    if not unexpected:
        return None
    return WeightsFacts(
        path=f"load_state_dict(strict=False) of {type(module).__name__} at {where}",
        matched=len(given) - len(unexpected),
        missing=len(missing),
        unexpected=len(unexpected),
        wrong_shape=0,
        examples=(*(f"unexpected: {key}" for key in unexpected[:2]), *(f"missing: {key}" for key in missing[:2])),
        by="script",
    )


def _weights(keys: Any) -> list[str]:
    """A batch norm's counter is no weight: old checkpoints lack it."""
    return [key for key in keys if not key.endswith("num_batches_tracked")]
