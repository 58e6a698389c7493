"""What a model of somebody's gives out: tensors in tuples, lists and dicts, each with the selector that picks it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from reid_smoke.build.targets import kind
from reid_smoke.errors import ModelError

_STEP = re.compile(r"\[(?:(-?\d+)|'([^']*)'|\"([^\"]*)\")\]")


def select(output: Any, selector: str) -> Any:
    """`[0]['logits']` of an output; "" is the output itself. Raises LookupError or TypeError as indexing does."""
    for number, quoted, double in _STEP.findall(selector):
        output = output[int(number)] if number else output[quoted or double]
    return output


def tensors_in(output: Any, at: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor of nested tuples, lists and dicts with its selector, in order."""
    if isinstance(output, Tensor):
        yield at, output
    elif isinstance(output, dict):
        for key, value in output.items():
            yield from tensors_in(value, f"{at}[{key!r}]")
    elif isinstance(output, (tuple, list)):
        for index, value in enumerate(output):
            yield from tensors_in(value, f"{at}[{index}]")


def losses_in(output: Any) -> list[tuple[str, Tensor]]:
    """The losses of a dict: its scalars that have a history and are called so, or all that have one."""
    if not isinstance(output, dict):
        return []
    scalars = [(k, v) for k, v in output.items() if isinstance(v, Tensor) and v.numel() == 1 and v.requires_grad]
    return [(key, value.reshape(())) for key, value in scalars if "loss" in str(key)] or scalars


def shapes(output: Any) -> str:
    """The tensors of an output by selector, for people."""
    found = [f"{at or 'itself'} {tuple(tensor.shape)}" for at, tensor in tensors_in(output)]
    return ", ".join(found[:8]) + (", ..." if found[8:] else "") if found else kind(output)


def pick(key: str, output: Any, selector: str) -> Tensor:
    """The tensor that `model.<key>` selects. Raises ModelError, with what there is, where it selects none."""
    try:
        found = select(output, selector)
    except (LookupError, TypeError) as error:
        raise ModelError(f"model.{key}: the output has no {selector}. The model gives: {shapes(output)}") from error
    if not isinstance(found, Tensor):
        raise ModelError(
            f"model.{key}: {selector or 'the output'} is {kind(found)}, no tensor. The model gives: {shapes(output)}"
        )
    return found
