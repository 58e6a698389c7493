from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_smoke.config.yaml_tree import YamlSyntaxError, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-2", 0.01),
        ("1E5", 100000.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("off", "off"),
        ("yes", "yes"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("true", True),
        ("~", None),
        ("", None),
        ("'1e-2'", "1e-2"),
        ("!!float 3", 3.0),
        ("&x [1, 2]", [1, 2]),
    ],
)
def test_scalars_are_read_as_yaml_1_2_does(text: str, value: object) -> None:
    found = read_yaml(f"key: {text}").value["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system ''", "!!binary aGk=", "!mine {a: 1}"]
)
def test_no_tag_constructs_anything(tag: str) -> None:
    tree = read_yaml(f"a: 1\nb: {tag}\n")
    ((line, path, message),) = tree.problems
    assert (line, path) == (2, "b")
    assert f"the tag {tag.split()[0]} is not allowed" in message


def test_a_key_given_twice_is_a_problem_at_the_second() -> None:
    assert read_yaml("a: {b: 1,\n  b: 2}").problems == ((2, "a.b", "given twice, first on line 1"),)


def test_an_alias_within_itself_ends() -> None:
    assert [path for _, path, _ in read_yaml("a: &a [*a]").problems] == ["a.0"]


def test_nested_aliases_do_not_fill_the_memory() -> None:
    names = "abcdefghijklmnopqrst"
    bomb = "a: &a [1]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in itertools.pairwise(names)
    )
    assert len(read_yaml(bomb).value) == len(names)


def test_lines_are_those_of_the_deepest_key_that_is_there() -> None:
    tree = read_yaml("a:\n  b:\n    - c: 1\n    - c: 2\n")
    assert tree.line_of(("a",)) == 1
    assert tree.line_of(("a", "b", 1, "c")) == 4
    assert tree.line_of(("a", "b", 1, "missing")) == 4
    assert tree.line_of(("a", "b", 7)) == 2
    assert tree.line_of(("z",)) is None


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2: 3\n", 2, "not valid YAML: mapping values are not allowed here\n    b: 2: 3\n        ^"),
        ("a:\n\tb: 1\n", 2, "(indent with spaces, not with tabs)\n    \tb: 1\n    ^"),
        ("a: [1,\nb: 2", 2, "but got the end of the file"),
        ("a: *b", 1, "undefined alias 'b'"),
        ("a: 1\n---\nb: 1", 2, "a second document (---)"),
        ("a: 1\nb: \x01", 2, "the character U+0001 may not stand in it"),
        ("[" * 5000, None, "nested too deep"),
    ],
)
def test_a_syntax_error_shows_the_line(text: str, line: int | None, message: str) -> None:
    with pytest.raises(YamlSyntaxError) as raised:
        read_yaml(text)
    assert raised.value.line == line
    assert message in str(raised.value)


@given(st.text() | st.text(alphabet="ab:-[]{}&*!?|>'\"#%@`,\n\t 0123.e~<"))
def test_any_text_is_read_or_refused(text: str) -> None:
    line = None
    try:
        read_yaml(text)
    except YamlSyntaxError as error:
        line = error.line
    assert line is None or 1 <= line <= len(text) + 1
