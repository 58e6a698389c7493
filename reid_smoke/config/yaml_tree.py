"""YAML text as plain values, with the line of every key; the safe part of YAML 1.2 and nothing else.

PyYAML follows YAML 1.1, where `1e-2` is text, `off` is false and `010` is eight. This reads scalars as YAML 1.2 does,
and builds the values from PyYAML's node tree itself: no tag can construct anything, and every node keeps its place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = Sequence[str | int]

_PREFIX = "tag:yaml.org,2002:"
_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(
    r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)
RESOLVERS = (("null", _NULL), ("bool", _BOOL), ("int", _INT), ("float", _FLOAT))  # tried in this order


class Unreadable:
    """Stands where a value could not be read, so that the rest can still be validated."""

    def __repr__(self) -> str:
        return "<unreadable>"


UNREADABLE = Unreadable()


class YamlSyntaxError(Exception):
    """The text is no YAML. `line` counts from 1; the message shows the line itself with a caret under the place."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Tree:
    """What a YAML text says, and where it says it."""

    value: Any
    problems: tuple[tuple[int, str, str], ...]  # line, dotted path, message
    _root: yaml.Node | None = field(repr=False)

    def line_of(self, path: Path) -> int | None:
        """Line of the deepest key on the way to `path` that stands in the text; None when not even the first does."""
        node, line = self._root, None
        for part in path:
            if isinstance(node, yaml.MappingNode):
                pair = next((pair for pair in node.value if pair[0].value == str(part)), None)
                if pair is None:
                    break
                line, node = pair[0].start_mark.line + 1, pair[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                break
        return line


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # as PyYAML declares it


for _name, _pattern in RESOLVERS:
    _Loader.add_implicit_resolver(_PREFIX + _name, _pattern, None)


def read_yaml(text: str) -> Tree:
    """The values of a YAML text. What is YAML but has no place here (a tag, a key given twice) is among the tree's
    problems. Raises YamlSyntaxError."""
    try:
        root = _compose(text)
        reader = _Reader()
        value = None if root is None else reader.plain(root, ())
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = f"U+{ord(error.character) if isinstance(error.character, str) else error.character:04X}"
        raise YamlSyntaxError(f"not valid YAML: the character {character} may not stand in it", line) from None
    except RecursionError:
        raise YamlSyntaxError("not readable: nested too deep", None) from None
    return Tree(value, tuple(reader.problems), root)


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
    finally:
        loader.dispose()
    return node


class _Reader:
    """Node tree -> plain values. A node that several aliases name becomes one shared value, so that a few lines of
    nested aliases cannot fill the memory."""

    def __init__(self) -> None:
        self.problems: list[tuple[int, str, str]] = []
        self._done: dict[int, Any] = {}
        self._open: set[int] = set()

    def plain(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        if id(node) in self._open:
            return self._problem(node, path, "an alias stands here for something that it is part of")
        if id(node) not in self._done:
            self._open.add(id(node))
            self._done[id(node)] = self._build(node, path)
            self._open.discard(id(node))
        return self._done[id(node)]

    def _build(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        kind = node.tag.removeprefix(_PREFIX)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return [self.plain(item, (*path, str(index))) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and kind in ("str", "null", "bool", "int", "float"):
            try:
                return _scalar(kind, node.value)
            except ValueError:
                return self._problem(node, path, f"{_short(node.value)} cannot be read as !!{kind}")
        tag = node.tag.replace(_PREFIX, "!!")
        return self._problem(node, path, f"the tag {tag} is not allowed: a config holds only text, numbers and lists")

    def _mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        first_line: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, path, "a key must be a word, not a list or a section")
                continue
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in first_line:
                self._problem(key_node, (*path, key), f"given twice, first on line {first_line[key]}")
                continue
            first_line[key] = line
            plain[key] = self.plain(value_node, (*path, key))
        return plain

    def _problem(self, node: yaml.Node, path: tuple[str, ...], message: str) -> Unreadable:
        self.problems.append((node.start_mark.line + 1, ".".join(path), message))
        return UNREADABLE


def _scalar(kind: str, text: str) -> Any:
    """Raises ValueError."""
    if kind == "str":
        return text
    if kind == "null" and _NULL.match(text):
        return None
    if kind == "bool" and _BOOL.match(text):
        return text.lower() == "true"
    if kind == "int" and _INT.match(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if kind == "float" and _FLOAT.match(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    raise ValueError(text)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _syntax_error(error: yaml.MarkedYAMLError, text: str) -> YamlSyntaxError:
    problem = error.problem or "it cannot be read"
    for end in ("'\\x00'", "'<stream end>'"):
        problem = problem.replace(end, "the end of the file")
    if problem == "but found another document":
        problem = "there is a second document (---); one file is one config"
    if "'\\t'" in problem:
        problem += " (indent with spaces, not with tabs)"
    if error.context and error.context.startswith("while scanning a quoted"):
        problem += " (a quotation mark is missing)"
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return YamlSyntaxError(f"not valid YAML: {problem}", None)
    # Line breaks as YAML counts them, which is not how str.splitlines() does.
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
    shown = lines[mark.line] if mark.line < len(lines) else ""
    start = max(0, mark.column - 90)  # a very long line is shown around the place
    pointer = "".join("\t" if c == "\t" else " " for c in shown[start : mark.column])
    shown = shown[start : start + 110]
    return YamlSyntaxError(f"not valid YAML: {problem}\n    {shown}\n    {pointer}^", mark.line + 1)
