"""`reid-smoke explain`: the catalogue of faults, and the documentation of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from reid_smoke.checks.catalogue import Check


TEXT_INDENT = 4  # of a section's prose; code is set off by more


def explain(
    fault: Annotated[
        str | None, typer.Argument(metavar="[FAULT]", help="Its code or name: RS302, head-not-in-optimizer.")
    ] = None,
) -> None:
    """List the known faults, or explain one.

    What it means, why it stops learning, how to mend it and where it was seen.
    """
    from rich.console import Console

    from reid_smoke.checks.catalogue import catalogue, find_check

    console = Console(highlight=False)
    if fault is not None:
        console.print(_page(find_check(fault)))
        return
    families: dict[str, list[Check]] = {}
    for check in catalogue():
        families.setdefault(_family(check), []).append(check)
    for family, checks in families.items():
        console.print(f"\n[bold]{family}[/]")
        console.print(_table(checks))
    console.print("\n`reid-smoke explain CODE` explains one of them.", style="dim")


def _family(check: Check) -> str:
    """The family's name: the docstring of the package that the check lies in."""
    import importlib

    package = importlib.import_module(check.judge.__module__.rpartition(".")[0])
    return (package.__doc__ or package.__name__).strip().rstrip(".")


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
    """The docstring as it stands, with its prose wrapped to the terminal and its code left alone."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    parts: list[RenderableType] = [
        Text.assemble((check.code, "bold"), " ", (check.slug, "bold"), f"  {check.severity}")
    ]
    for block in check.documentation.split("\n\n"):
        heading, _, below = block.partition("\n")
        if heading.endswith(":") and not heading.startswith(" "):
            parts.append(Text(f"\n{heading}", style="bold"))
            block = below
        else:
            parts.append(Text())
        indent = len(block) - len(block.lstrip(" "))
        if indent > TEXT_INDENT:
            parts.append(Text(block, style="green", no_wrap=True, overflow="ignore"))
        else:
            prose = " ".join(line.strip() for line in block.splitlines())
            parts.append(Padding(Text(prose), (0, 0, 0, indent), expand=False))
    return Group(*parts)
