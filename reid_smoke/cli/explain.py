"""`reid-smoke explain`: the catalogue of faults, and the documentation of one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from reid_smoke.cli.completion import faults

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

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
        for line in _page(find_check(fault), console.width):
            console.print(line, soft_wrap=True)
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


def _page(check: Check, width: int) -> Iterator[Text]:
    """The docstring, line by line: its prose wrapped to the terminal, its code left alone, however long."""
    from rich.text import Text

    from reid_smoke.checks.page import TEXT_INDENT, blocks
    from reid_smoke.report.terminal import wrapped

    def prose(text: str, indent: int = TEXT_INDENT) -> Iterator[Text]:
        return wrapped(Text(text), " " * indent, width)

    yield Text.assemble((check.code, "bold"), " ", (check.slug, "bold"), f"  {check.severity}")
    yield Text()
    yield from prose(f"{check.title}.", 0)
    before = ""
    for kind, text in blocks(check):
        if before != "heading":
            yield Text()
        if kind == "heading":
            yield Text(f"{text}:", style="bold")
        elif kind == "code":
            yield from (Text(" " * 2 * TEXT_INDENT + line, style="green") for line in text.splitlines())
        else:
            yield from prose(text)
        before = kind
    if check.explains:
        yield Text()
        yield Text("Named before:", style="bold")
        yield from prose(", ".join(check.explains))
