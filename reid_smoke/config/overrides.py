"""`--set a.b=c`: one value of a config, from the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reid_smoke.config.schema import Config
from reid_smoke.config.yaml_tree import YamlSyntaxError, read_yaml

INDEX = re.compile(r"0|[1-9][0-9]{0,5}")


class OverrideError(Exception):
    """An override that cannot be read or has no place to go; the message says why."""


@dataclass(frozen=True)
class Override:
    text: str
    path: tuple[str | int, ...]
    value: Any

    @property
    def place(self) -> str:
        """How problems with it name it."""
        return f"--set {self.text}"


def read_override(text: str) -> Override:
    """`optimizer.groups.0.lr=1e-3` -> its path and its value, which is read as YAML. Raises OverrideError."""
    keys, equals, value = text.partition("=")
    parts = [part.strip() for part in keys.split(".")]
    if not equals or not all(parts):
        raise OverrideError("expected key=value, such as optimizer.lr=1e-4")
    try:
        tree = read_yaml(value)
    except YamlSyntaxError as error:
        raise OverrideError(str(error).replace("not valid YAML", "the value is not valid YAML")) from None
    if tree.problems:
        raise OverrideError("; ".join(message for _, _, message in tree.problems))
    path = tuple(int(part) if INDEX.fullmatch(part) else part for part in parts)
    return Override(text, path, tree.value)


def apply_override(plain: Any, override: Override) -> Any:
    """`plain` with the override's value in it; `plain` itself stays as it is.

    Sections that are missing are made. A list that is missing starts as its default, so that
    `optimizer.groups.0.lr` means the head's lr in a file that says nothing of groups; the index behind a list's last
    adds to it. Raises OverrideError.
    """
    return _put(plain, Config().to_plain(), override.path, override.value, ())


def _put(old: Any, default: Any, path: Sequence[str | int], value: Any, seen: tuple[str, ...]) -> Any:
    if not path:
        return value
    part, *rest = path
    where = ".".join(seen) or "the config"
    if old is None and isinstance(default, list):
        old = default
    if isinstance(old, list):
        if not isinstance(part, int):
            raise OverrideError(f"{where} is a list: give a number after it, not {part!r}")
        if part > len(old):
            raise OverrideError(f"{where} has {len(old)} items, counted from 0: there is no place {part}")
        item = old[part] if part < len(old) else None
        return [*old[:part], _put(item, None, rest, value, (*seen, str(part))), *old[part + 1 :]]
    if old is None:
        old = {}
    if not isinstance(old, dict):
        raise OverrideError(f"{where} is a value, not a section: {part!r} cannot be set in it")
    key = str(part)
    inner_default = default.get(key) if isinstance(default, dict) else None
    return {**old, key: _put(old.get(key), inner_default, rest, value, (*seen, key))}
