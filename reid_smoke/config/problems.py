"""What pydantic found wrong, in sentences for the person who wrote the config."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from reid_smoke.config.nearest_key import keys_of, suggest
from reid_smoke.config.yaml_tree import UNREADABLE
from reid_smoke.errors import nearest

Location = tuple[str | int, ...]

EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "string_unicode": "text without surrogates",
    "path_type": "a path",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a section, that is keys and values below it",
    "model_type": "a section, that is keys and values below it",
}
BOUNDS = {
    "greater_than": ("gt", "more than {}"),
    "greater_than_equal": ("ge", "{} or more"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "{} or less"),
}


class Sentence(NamedTuple):
    """One problem. `at` is where the fault lies: for a key that is missing, the section that lacks it."""

    at: Location
    path: str
    text: str


def sentences(error: ValidationError) -> Iterator[Sentence]:
    """Each problem that pydantic found, but those of values that could not even be read."""
    too_short: dict[Location, str] = {}  # pydantic names every missing place of a list; one problem is enough
    for detail in error.errors(include_url=False):
        location, found = tuple(detail["loc"]), detail["input"]
        if location[-1:] == ("[key]",):  # of a section whose keys are not known beforehand: the key itself is at fault
            location = location[:-1]
        if found is UNREADABLE:
            continue  # reported where it was read
        if detail["type"] == "missing" and isinstance(location[-1], int):
            too_short[location[:-1]] = f"found {show(found)}, expected {location[-1] + 1} values"
            continue
        at = location[:-1] if detail["type"] == "missing" else location
        yield Sentence(at, _dotted(location), _sentence(detail, location, found))
    for location, text in too_short.items():
        yield Sentence(location, _dotted(location), text)


def _dotted(location: Location) -> str:
    return ".".join(map(str, location))


def _sentence(detail: ErrorDetails, location: Location, found: Any) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in ("extra_forbidden", "invalid_key"):
        return _unknown_key(location)
    if kind == "missing":
        return "missing, and it has no default"
    if kind == "too_long":
        return f"found {show(found)}, expected {context['max_length']} values"
    if kind == "literal_error":
        return _not_a_choice(str(context["expected"]), found)
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_pattern_mismatch":
        return f"found {show(found)}, expected text that matches {context['pattern']}"
    if kind in BOUNDS:
        key, words = BOUNDS[kind]
        return f"found {show(found)}, expected {words.format(_trimmed(context[key]))}"
    if kind in EXPECTED:
        return f"found {show(found)}, expected {EXPECTED[kind]}{_hint(kind, found)}"
    # A kind that no field of the schema raises today.
    return f"found {show(found)}; {detail['msg'].replace('Input should', 'it should')}"


def _trimmed(bound: float) -> float:
    return int(bound) if bound == int(bound) else bound  # 0.0 or more -> 0 or more


def _unknown_key(location: Location) -> str:
    *section, key = location
    if key == "<<":
        return "merge keys are not read here; write the values themselves"
    near = suggest(section, str(key))
    if near:
        return f"unknown key. Did you mean {either(near)}?"
    return f"unknown key. The keys here: {', '.join(keys_of(section))}"


def _not_a_choice(expected: str, found: Any) -> str:
    # pydantic gives the choices only as prose: "'adamw', 'adam' or 'sgd'", "1 or 2"
    choices = re.findall(r"'([^']*)'|(\d+)", expected)
    names = [word or number for word, number in choices]
    near = nearest(found.lower(), names, count=1) if isinstance(found, str) else []
    guess = f". Did you mean {near[0]}?" if near else ""
    return f"found {show(found)}, expected {either(names)}{guess}"


def _hint(kind: str, found: Any) -> str:
    if kind in ("int_type", "float_type") and isinstance(found, str) and _is_number(found):
        return ": take the quotation marks off"
    if kind == "int_type" and isinstance(found, float) and found.is_integer():
        return f": write {int(found)}"
    if kind == "string_type" and isinstance(found, int | float):
        return ": put it in quotation marks"
    if kind == "model_type" and found is None:
        return ". Leave the key out to have every default"
    if kind in ("list_type", "tuple_type") and isinstance(found, str | int | float):
        return ": put it in square brackets"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def show(value: Any) -> str:
    """A value as the user knows it, in a few words; never the whole of something large."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, int) and abs(value) > 10**18:
        return "a very large number"  # its digits may be too many to print
    text = str(value)
    text = text if len(text) <= 60 else text[:57] + "..."
    return json.dumps(text) if isinstance(value, str) else text


def either(names: list[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
