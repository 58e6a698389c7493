"""A Config as YAML that loads back as the same Config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from reid_smoke.config.schema import Config
from reid_smoke.config.yaml_tree import RESOLVERS


class _Dumper(yaml.SafeDumper):
    """Sections as blocks, lists of plain values on one line."""

    def represent_plainly(self, values: Sequence[Any]) -> yaml.Node:
        flow = not any(isinstance(value, dict) for value in values)
        return self.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=flow)

    def represent_text(self, text: str) -> yaml.Node:
        # PyYAML writes these as they are between single quotes, and reads them back as another line break.
        breaks = any(character in text for character in "\x85\u2028\u2029")
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"' if breaks else None)


_Dumper.add_representer(list, _Dumper.represent_plainly)
_Dumper.add_representer(str, _Dumper.represent_text)
# Beside YAML 1.1's rules: text is put in quotes where either version would take it for something else.
for _name, _pattern in RESOLVERS:
    _Dumper.add_implicit_resolver("tag:yaml.org,2002:" + _name, _pattern, None)


def dump_text(text: str) -> str:
    """A text as a YAML value on one line, in quotes where it needs them."""
    dumped: str = yaml.dump(text, Dumper=_Dumper, allow_unicode=True, width=2**31)
    return dumped.removesuffix("\n").removesuffix("\n...")


def dump_value(value: Any) -> str:
    """Any value on one line, as YAML and as `--set` takes it; keys that say nothing are left out."""
    if isinstance(value, list):
        value = [{k: v for k, v in item.items() if v is not None} if isinstance(item, dict) else item for item in value]
    return str(yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False)).split("\n...")[0].strip()


def dump_config(config: Config) -> str:
    """Every key of the config, defaults too, in the schema's order."""
    text: str = yaml.dump(config.to_plain(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
