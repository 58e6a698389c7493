"""Whether a model was given its own weights back, where those of a checkpoint were meant.

    own = model.state_dict()
    own.update({name: value for name, value in checkpoint.items() if name in own})
    model.load_state_dict(own)

Where no name fits, nothing arrives and nothing is said: the load is strict, and finds every key.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from reid_smoke.facts import WeightsFacts
from reid_smoke.probes.freshness import drawn

MOST_LOADS = 16  # that are looked at; who loads at every step, as some teachers do, reads no checkpoint with it
MOST_NAMES = 2


class GivenBack:
    """Told of files that torch.load has read, and of loads before they happen: with assign=True the model's weights
    are afterwards the very tensors that it was given."""

    def __init__(self) -> None:
        self._file_read = False
        self._looked_at = 0
        self._own: dict[int, tuple[weakref.ref[nn.Module], str, int]] = {}  # model, where, parameters given back

    def file_read(self) -> None:
        self._file_read = True

    def model_loads(self, module: nn.Module, state_dict: object, where: str) -> None:
        """where: file and line of the call."""
        if not self._file_read or self._looked_at >= MOST_LOADS or not isinstance(state_dict, Mapping):
            return
        self._looked_at += 1
        given = [(p, state_dict[n]) for n, p in module.named_parameters() if n in state_dict]
        if given and all(_is_same_memory(parameter, value) for parameter, value in given):
            self._own[id(module)] = (weakref.ref(module), where, len(given))
        else:
            self._own.pop(id(module), None)  # something came after all

    def facts(self) -> WeightsFacts | None:
        """Of the first model that was given nothing else, and most of whose weights look as an initialisation drew
        them: who copies a checkpoint into the tensors of the state dict gives these back, too.

        Waits for the device once.
        """
        for known, where, parameters in self._own.values():
            module = known()
            if module is None:
                continue
            weights, fresh = drawn(list(module.named_parameters()))
            if 2 * len(fresh) > weights:
                return WeightsFacts(
                    path=f"load_state_dict of {type(module).__name__} at {where}",
                    matched=0,
                    missing=parameters,
                    unexpected=0,
                    wrong_shape=0,
                    examples=tuple(fresh[:MOST_NAMES]),
                    by="script",
                    given_back=parameters,
                )
        return None


def _is_same_memory(parameter: Tensor, value: object) -> bool:
    if type(parameter) not in (Tensor, nn.Parameter) or type(value) not in (Tensor, nn.Parameter):
        return False
    assert isinstance(value, Tensor)
    if parameter.layout is not torch.strided or value.layout is not torch.strided or value.device != parameter.device:
        return False
    return parameter.data_ptr() == value.data_ptr() != 0  # 0: on the meta device, or of no element
