"""The catalogue as one page of Markdown, from the same docstrings that `explain` shows; no torch."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from reid_smoke.checks.catalogue import Check, catalogue

TEXT_INDENT = 4  # of a section's prose in a docstring; code is set off by more

HEAD = """# The catalogue of faults

Written by `python scripts/make_catalogue_page.py` from the checks' docstrings, which `reid-smoke explain RS302` shows
as well: change those, not this page.

A *fatal* fault is certain and ends the run; a *fail* makes a No-Go; a *warn* is reported and no more. When several
fire, one that explains another is named before it, and the other is listed as what follows from it. Among those that
nothing explains, the graver comes first, then the lower code.
"""


def family(check: Check) -> str:
    """The family's name: the docstring of the package that the check lies in."""
    package = importlib.import_module(check.judge.__module__.rpartition(".")[0])
    return (package.__doc__ or package.__name__).strip().rstrip(".")


def blocks(check: Check) -> Iterator[tuple[str, str]]:
    """The docstring below its title: ("heading" | "prose" | "code", text)."""
    for block in check.documentation.split("\n\n")[1:]:
        heading, _, below = block.partition("\n")
        if heading.endswith(":") and not heading.startswith(" "):
            yield "heading", heading.rstrip(":")
            block = below
        indent = len(block) - len(block.lstrip(" "))
        if indent > TEXT_INDENT:
            yield "code", "\n".join(line[indent:] if line.strip() else "" for line in block.splitlines())
        elif block:
            yield "prose", " ".join(line.strip() for line in block.splitlines())


def catalogue_page() -> str:
    """Every check, by family and code."""
    parts = [HEAD]
    families: dict[str, list[Check]] = {}
    for check in catalogue():
        families.setdefault(family(check), []).append(check)
    for name, checks in families.items():
        parts.append(f"## {name}\n")
        rows = [f"| [{c.code}](#{c.code.lower()}-{c.slug}) | {c.severity} | {c.title} |" for c in checks]
        parts.append("\n".join(["| | | |", "|---|---|---|", *rows]) + "\n")
        parts += [_section(check) for check in checks]
    return "\n".join(parts)


def _section(check: Check) -> str:
    lines = [f"### {check.code} {check.slug}\n", f"**{check.title}.** ({check.severity})\n"]
    for kind, text in blocks(check):
        if kind == "heading":
            lines.append(f"*{text}:*\n")
        else:
            lines.append(f"```\n{text}\n```\n" if kind == "code" else f"{text}\n")
    if check.explains:
        lines.append(f"*Named before:* {', '.join(check.explains)}\n")
    return "\n".join(lines)
