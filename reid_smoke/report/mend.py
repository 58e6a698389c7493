"""A mend's text as prose and code, for whichever format shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator

_FENCE = re.compile(r"^```(\w*)\n(.*?)\n?^```$", re.DOTALL | re.MULTILINE)
_YAML_KEY = re.compile(r"^\s*(- )?[\w.-]+:(\s|$)")


def blocks(mend: str) -> Iterator[tuple[str | None, str]]:
    """(language, text) of each piece of code, and (None, text on one line) of each paragraph of prose, in order.

    Code stands between ``` fences, or is indented by four and more.
    """
    position = 0
    for fence in _FENCE.finditer(mend):
        yield from _by_indent(mend[position : fence.start()])
        yield fence[1] or _language(fence[2]), fence[2]
        position = fence.end()
    yield from _by_indent(mend[position:])


def _by_indent(text: str) -> Iterator[tuple[str | None, str]]:
    prose: list[str] = []
    code: list[str] = []

    def told() -> Iterator[tuple[str | None, str]]:
        if prose:
            yield None, " ".join(prose)
            prose.clear()

    def shown() -> Iterator[tuple[str | None, str]]:
        kept = [line for line in code if line.strip()]
        if kept:
            margin = min(len(line) - len(line.lstrip()) for line in kept)
            block = "\n".join(line[margin:].rstrip() for line in code).strip("\n")
            yield _language(block), block
        code.clear()

    for line in text.split("\n"):
        if line.startswith("    ") or (code and not line.strip()):
            yield from told()
            code.append(line)
        elif line.strip():
            yield from shown()
            prose.append(line.strip())
        else:
            yield from told()
    yield from told()
    yield from shown()


def _language(code: str) -> str:
    """YAML where every line is a key or a list entry, else Python."""
    lines = [line for line in code.split("\n") if line.strip() and not line.lstrip().startswith("#")]
    # A Python block opens with a word before its colon ("for x in y:"), a YAML key has nothing before it.
    return "yaml" if lines and all(_YAML_KEY.match(line) for line in lines) else "python"
