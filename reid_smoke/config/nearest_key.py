"""The keys of a config, section by section, and which of them somebody meant who wrote another.

A wrong key is often right elsewhere: misspelt, in another section, or named as in the config of another code base.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from reid_smoke.config.schema import Config

# What other ReID code bases (fast-reid, torchreid, TransReID, Lightning) call the same thing.
SYNONYMS = {
    "type": "name",
    "learning_rate": "lr",
    "base_lr": "lr",
    "wd": "weight_decay",
    "optim": "optimizer",
    "scheduler": "schedule",
    "lr_scheduler": "schedule",
    "warmup_steps": "warmup",
    "warmup_iters": "warmup",
    "warmup_epochs": "warmup",
    "epochs": "steps",
    "max_epochs": "steps",
    "max_iters": "steps",
    "max_steps": "steps",
    "batch": "batch_size",
    "ims_per_batch": "batch_size",
    "num_workers": "workers",
    "num_instance": "instances",
    "num_instances": "instances",
    "dataset": "source",
    "data_dir": "root",
    "root_dir": "root",
    "path": "root",
    "arch": "backbone",
    "pretrain_path": "weights",
    "pretrained": "weights",
    "checkpoint": "weights",
    "num_ids": "identities",
    "label_smooth": "label_smoothing",
    "grad_clip": "clip",
    "clip_grad": "clip",
    "clip_grad_norm": "clip",
    "accumulation": "accumulate",
    "accumulate_grad_batches": "accumulate",
    "fp16": "amp",
    "precision": "amp",
    "mixed_precision": "amp",
    "frozen": "freeze",
    "params": "groups",
    "pattern": "match",
    "suppress": "ignore",
    "skip": "ignore",
    "disable": "ignore",
}

Section = tuple[str, ...]


@cache
def sections() -> dict[Section, list[str]]:
    """Every section's keys. An item of a list of sections goes by the name "0"."""
    return dict(_walk(Config, ()))


def _walk(model: type[BaseModel], path: Section) -> Iterator[tuple[Section, list[str]]]:
    yield path, list(model.model_fields)
    for name, info in model.model_fields.items():
        for inner, is_item in _models_in(info.annotation, False):
            yield from _walk(inner, (*path, name, "0") if is_item else (*path, name))


def _models_in(annotation: Any, is_item: bool) -> Iterator[tuple[type[BaseModel], bool]]:
    origin = get_origin(annotation)
    if origin is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, is_item  # origin: Python 3.10 takes list[str] for a type, and issubclass then fails
    for argument in get_args(annotation):
        yield from _models_in(argument, is_item or origin is list)


def keys_of(section: Sequence[str | int]) -> list[str]:
    """The keys of the section at this path; empty where the schema has no section."""
    return sections().get(tuple("0" if isinstance(part, int) else part for part in section), [])


def suggest(section: Sequence[str | int], key: str, count: int = 3) -> list[str]:
    """What `key` in `section` may have meant, best first: a key's name when it belongs to the same section, its dotted
    path when it belongs to another; empty when nothing comes close."""
    here = keys_of(section)
    elsewhere = [(path, name) for path, names in sections().items() for name in names if names is not here]
    means = _meanings(key)
    exact = [name for name in here if name in means]
    exact += [".".join((*path, name)) for path, name in elsewhere if name in means]
    near = _near(key, here)
    if not exact and not near:
        wanted = _near(key, [name for _, name in elsewhere])[:1]
        near = [".".join((*path, name)) for near_name in wanted for path, name in elsewhere if name == near_name]
    return list(dict.fromkeys(exact + near))[:count]


def _meanings(key: str) -> set[str]:
    plain = key.lower().replace("-", "_").replace(" ", "_")
    return {plain, SYNONYMS.get(plain, plain)}


def _near(key: str, names: list[str]) -> list[str]:
    """The names close to `key`, directly or by a synonym."""
    known = {synonym: name for synonym, name in SYNONYMS.items() if name in names} | {name: name for name in names}
    # Stricter than errors.nearest: with so many short names, a loose match is a wrong one.
    return list(dict.fromkeys(known[word] for word in difflib.get_close_matches(key.lower(), known, cutoff=0.65)))
