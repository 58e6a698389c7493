"""Bringing a checkpoint into the model, and the count of what arrived.

Checkpoints differ in how deep the state dict lies and in what its keys begin with. Both are found by trying: the
reading that brings in the most tensors wins, and what it leaves out is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from reid_smoke.build.checkpoint import read_state_dict
from reid_smoke.build.timm_backbones import fit_positions
from reid_smoke.facts import WeightsFacts

BACKBONE = "backbone."
WRAPPERS = ("module.", "_orig_mod.", "model.", "backbone.", "base.")  # DataParallel, torch.compile, field habits

# torchvision's DenseNet checkpoints keep names from before '.' was forbidden in them: `norm.1` is `norm1` today.
_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.(\d\.)")


class _Reading(NamedTuple):
    """One way to understand a file's keys."""

    matched: dict[str, Tensor]  # by the model's key; right name and right shape
    missing: list[str]
    unexpected: list[str]
    wrong_shape: list[str]  # with both shapes, for people


def load_weights(model: nn.Module, path: Path) -> WeightsFacts:
    """Copy what fits of a checkpoint into the model, in place, and say how much that was.

    Read with weights_only=True on the CPU. The state dict may lie at the top or under `state_dict`, `model` or
    `model_state_dict`; its keys may begin with any of WRAPPERS; it may be of the whole model or of its `backbone`
    alone. A file that brings nothing beside the backbone is measured against the backbone. Where the names differ only
    in their numbers and the tensors stand in the same order with the same shapes (MobileNetV2 of before torchvision),
    they are matched by order, and the facts' examples say so. A timm ViT's
    positions are resampled to its images' size. `num_batches_tracked` is copied and not counted: it is no weight.

    Raises ModelError where the file cannot be read or is no checkpoint. A checkpoint of which nothing fits is not
    raised: the facts then say matched=0.
    """
    found = {_DENSENET.sub(r"\1\2", key): tensor for key, tensor in read_state_dict(path).items()}
    found, fitted = fit_positions(found, getattr(model, "backbone", model))
    own = model.state_dict()
    reading = max(_readings(found, own), key=lambda reading: (_counted(reading.matched), len(reading.wrong_shape)))
    examples = (*fitted, *_examples(reading))
    if reading.missing and (by_order := _by_order(found, own)):
        reading = by_order
        pairs = zip(_weights(found), by_order.matched, strict=True)
        renamed = [f"{old} is {new}" for old, new in pairs if not new.endswith(_without_wrappers(old))]
        examples = tuple(f"matched by order, since the numbers in the names differ: {text}" for text in renamed[:1])
    model.load_state_dict(reading.matched, strict=False)
    return WeightsFacts(
        path=str(path),
        matched=_counted(reading.matched),
        missing=len(reading.missing),
        unexpected=len(reading.unexpected),
        wrong_shape=len(reading.wrong_shape),
        examples=examples,
    )


def _readings(found: dict[str, Tensor], own: dict[str, Tensor]) -> Iterator[_Reading]:
    """Every prefix that may be taken off, with the rest read as the whole model's key and as the backbone's."""
    for prefix in sorted({prefix for key in found for prefix in _prefixes(key)}, key=len):
        for target in ("", BACKBONE):
            # A key without the prefix stays as it is: it must not be taken for what it would be with it.
            ours = {key: target + key[len(prefix) :] if key.startswith(prefix) else None for key in found}
            yield _compare(found, ours, own)


def _prefixes(key: str) -> Iterator[str]:
    """`module.base.conv1.weight` -> ``, `module.`, `module.base.`."""
    taken = ""
    yield taken
    while wrapper := next((w for w in WRAPPERS if key.startswith(w, len(taken))), None):
        taken += wrapper
        yield taken


def _compare(found: dict[str, Tensor], ours: dict[str, str | None], own: dict[str, Tensor]) -> _Reading:
    """`ours`: what each of the file's keys would be called in the model."""
    matched: dict[str, Tensor] = {}
    unexpected, wrong_shape = [], []
    for key, tensor in found.items():
        name = ours[key]
        if name is None or name not in own:
            if not _is_counter(key):
                unexpected.append(key)
        elif own[name].shape == tensor.shape:
            matched[name] = tensor
        else:
            wrong_shape.append(f"{key} is {tuple(tensor.shape)}, the model's {tuple(own[name].shape)}")
    given = set(ours.values())
    whole = any(name in own and not name.startswith(BACKBONE) for name in given if name)
    missing = [name for name in _weights(own) if name not in given and (whole or name.startswith(BACKBONE))]
    return _Reading(matched, missing, unexpected, wrong_shape)


def _by_order(found: dict[str, Tensor], own: dict[str, Tensor]) -> _Reading | None:
    """The file's tensors as the backbone's, one by one. None unless there are as many, in the same order of shapes, and
    their names are the same but for the numbers in them: `conv.1.weight` and `conv.0.1.weight`."""
    theirs = {_without_wrappers(key): tensor for key, tensor in _weights(found).items()}
    ours = {key: tensor for key, tensor in _weights(own).items() if key.startswith(BACKBONE)}
    if [_kind(key, tensor) for key, tensor in theirs.items()] != [
        _kind(key[len(BACKBONE) :], tensor) for key, tensor in ours.items()
    ]:
        return None
    return _Reading(dict(zip(ours, theirs.values(), strict=True)), missing=[], unexpected=[], wrong_shape=[])


def _kind(key: str, tensor: Tensor) -> tuple[str, tuple[int, ...]]:
    return re.sub(r"\.\d+", "", key), tuple(tensor.shape)


def _without_wrappers(key: str) -> str:
    return key[max(len(prefix) for prefix in _prefixes(key)) :]


def _is_counter(key: str) -> bool:
    return key.endswith("num_batches_tracked")


def _weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in tensors.items() if not _is_counter(key)}


def _counted(matched: dict[str, Tensor]) -> int:
    return len(_weights(matched))


def _examples(reading: _Reading, each: int = 3) -> tuple[str, ...]:
    return (
        *(f"wrong shape: {text}" for text in reading.wrong_shape[:each]),
        *(f"missing: {key}" for key in reading.missing[:each]),
        *(f"unexpected: {key}" for key in reading.unexpected[:each]),
    )
