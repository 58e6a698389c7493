"""`reid-smoke explain`: the catalogue of faults, and the documentation of one of them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from reid_smoke.cli.completion import faults

if TYPE_CHECKING:
    from rich.console import RenderableType

    from reid_smoke.checks.catalogue import Check


def explain(
    fault: Annotated[
        str | None,
        typer.Argument(
            metavar="[FAULT]", help="Its code or name: RS302, head-not-in-optimizer.", autocompletion=faults
        ),
    ] = None,
) -> None:
    """List the known faults, or explain one.

    What it means, why it stops learning, how to mend it and where it was seen.
    """
    from rich.console import Console

    from reid_smoke.checks.catalogue import catalogue, find_check
    from reid_smoke.checks.page import family

    console = Console(highlight=False)
    if fault is not None:
        console.print(_page(find_check(fault)))
        return
    families: dict[str, list[Check]] = {}
    for check in catalogue():
        families.setdefault(family(check), []).append(check)
    for name, checks in families.items():
        console.print(f"\n[bold]{name}[/]")
        console.print(_table(checks))
    console.print("\n`reid-smoke explain CODE` explains one of them.", style="dim")


def _table(checks: list[Check]) -> RenderableType:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column()
    for check in checks:
        table.add_row(f"  {check.code}", check.severity, check.slug, check.title)
    return table


def _page(check: Check) -> RenderableType:
    """The docstring, with its prose wrapped to the terminal and its code left alone."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    from reid_smoke.checks.page import TEXT_INDENT, blocks

    def section(heading: str) -> Text:
        return Text(f"\n{heading}:", style="bold")

    def prose(text: str) -> Padding:
        return Padding(Text(text), (0, 0, 0, TEXT_INDENT), expand=False)

    parts: list[RenderableType] = [
        Text.assemble((check.code, "bold"), " ", (check.slug, "bold"), f"  {check.severity}"),
        Text(f"\n{check.title}."),
    ]
    before = ""
    for kind, text in blocks(check):
        if kind == "heading":
            parts.append(section(text))
        else:
            parts += [] if before == "heading" else [Text()]
            code = textwrap.indent(text, " " * 2 * TEXT_INDENT)
            parts.append(Text(code, style="green", no_wrap=True, overflow="ignore") if kind == "code" else prose(text))
        before = kind
    if check.explains:
        parts += [section("Named before"), prose(", ".join(check.explains))]
    return Group(*parts)
