"""`reid-smoke compare`: past runs beside each other, from what their folders hold; without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reid_smoke.cli.completion import run_folders


def compare(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN_DIR",
            help="The folders of two to eight runs.",
            show_default=False,
            autocompletion=run_folders,
        ),
    ],
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the comparison as a page, too.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Lay runs over each other: their curves, what differed in their configs, which findings came and went.

    The first is what the others are held against. Any kinds of runs can be compared, by what they have in common.
    Ends with 0 where they could be compared, whatever their verdicts.
    """
    from rich.console import Console

    from reid_smoke.cli.guard import say
    from reid_smoke.cli.streams import print_document
    from reid_smoke.errors import ReidSmokeError, UsageError
    from reid_smoke.report.comparing.document import compare as compared
    from reid_smoke.report.comparing.html import to_page
    from reid_smoke.report.comparing.terminal import render_comparison
    from reid_smoke.report.json import as_json
    from reid_smoke.report.past import read_past_runs
    from reid_smoke.report.writing import write_whole

    if html is not None and (html.is_dir() or not html.parent.is_dir()):
        found = "this is a folder" if html.is_dir() else f"there is no folder {html.parent}"
        raise UsageError(f"--html {html}: {found}. Name a file.")
    runs = read_past_runs(folders)
    comparison = compared(runs)
    failed = None
    if html is not None:
        try:
            write_whole(html, to_page(comparison, runs), advice="Make room, or name another file with --html.")
            say(f"the page: {html}")
        except ReidSmokeError as error:  # what was asked for beside it is shown all the same
            failed = error
    if json:
        print_document(as_json(comparison))
    else:
        render_comparison(comparison, Console())
    if failed is not None:
        raise failed
