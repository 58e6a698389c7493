"""A heading and labelled lines, in a terminal or in a file; no torch."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

LABELS = 10  # cells
WIDEST = 100


def show(console: Console, heading: str, pairs: Iterable[tuple[str, str | None]]) -> None:
    """Print them. A label with None to say is left out; an empty one goes on with the line above."""
    width = max(40, min(WIDEST, console.width))
    _print(console, Text())
    _print(console, Text(heading, "bold"))
    _print(console, Text())
    for label, said in pairs:
        if said is None:
            continue
        # Words longer than a line, mostly paths, stay whole: they are there to be copied.
        lead, room = Text(f"  {label:<{LABELS}}", "bright_black"), width - LABELS - 2
        for line in _wrapped(said, room):
            _print(console, Text.assemble(lead, line))
            lead = Text(" " * (LABELS + 2))


def _wrapped(text: str, room: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if len(longer) <= room or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _print(console: Console, line: Text) -> None:
    plain = line.plain.encode(console.encoding, "replace").decode(console.encoding)
    if plain != line.plain:  # a name that the stream cannot say
        line = Text(plain)
    line.rstrip()
    console.print(line, soft_wrap=True, highlight=False)
