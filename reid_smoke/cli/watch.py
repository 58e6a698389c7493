"""`reid-smoke watch`: the verdict on somebody's own training script, which runs as python would run it."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reid_smoke.cli.options import Out

if TYPE_CHECKING:
    from reid_smoke.watch.watching import Watch

STARTED = time.perf_counter()
# Everything behind the script's name is the script's: `watch train.py --lr 1 --help` reaches it untouched.
CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}


def watch(
    context: typer.Context,
    script: Annotated[str | None, typer.Argument(metavar="SCRIPT [ARGS]...", show_default=False)] = None,
    module: Annotated[str | None, typer.Option("-m", metavar="MODULE", help="A module instead, as python -m.")] = None,
    window: Annotated[str, typer.Option(metavar="FIRST:LAST", help="Steps over which CE is judged.")] = "200:300",
    stop: Annotated[bool, typer.Option("--stop", help="End the training when the verdict is certain.")] = False,
    out: Out = None,
) -> None:
    """Run your own training script unchanged, and say Go or No-Go with the cause.

    The script sees what it would see under python. The report goes to stderr; its own exit code goes first.
    """
    steps = _window(window)
    arguments = list(context.args)
    if module is not None:
        arguments = [*([script] if script is not None else []), *arguments]
    elif script is None:
        raise typer.BadParameter("name a script, or a module with -m", param_hint="SCRIPT")

    from reid_smoke.watch.script import find_module, find_script, run_as_main, without_our_frames

    try:
        found = find_module(module) if module is not None else find_script(script or "")
    except SyntaxError as error:
        sys.excepthook(SyntaxError, error.with_traceback(None), None)
        raise typer.Exit(1) from None

    from reid_smoke.watch.watching import StopTraining, Watch, on_sigterm

    watching = Watch(
        re.sub(r"[^\w.-]+", "-", Path(found.path).stem),
        window=steps,
        out=out,
        stop=stop,
        command=" ".join(["reid-smoke watch", found.name, *arguments]),
        say=_say,
        started=STARTED,
    )
    undo = on_sigterm(lambda: _finish(watching, KeyboardInterrupt()))
    ended_by: BaseException | None = None
    try:
        with watching:
            run_as_main(found, arguments)
    except StopTraining:
        pass
    except BaseException as raised:
        ended_by = without_our_frames(raised)
    undo()
    _end(watching, ended_by)


def _window(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+):(\d+)", text)
    if not match or not 0 < int(match[1]) < int(match[2]):
        raise typer.BadParameter(
            f"{text!r} is no window: give its first and last step, as in 200:300", param_hint="--window"
        )
    return int(match[1]), int(match[2])


def _say(sentence: str) -> None:
    """A line above whatever bar of theirs is being drawn."""
    from tqdm import tqdm

    tqdm.write(f"reid-smoke: {sentence}", file=sys.stderr)


def _finish(watching: Watch, error: BaseException | None) -> None:
    watching.finish(error)
    _show(watching)


def _show(watching: Watch) -> None:
    from rich.console import Console

    from reid_smoke.cli.guard import say
    from reid_smoke.report.terminal import render_terminal

    if watching.report is not None:
        render_terminal(watching.report, Console(stderr=True), folder=watching.folder)
    if watching.error:
        say(watching.error)


def _end(watching: Watch, error: BaseException | None) -> None:
    """Show the report, and leave as the script would have left; where that is 0, with the verdict's code."""
    import signal

    from reid_smoke.watch.watching import die_of

    if isinstance(error, KeyboardInterrupt):
        sys.excepthook(type(error), error, error.__traceback__)
        _show(watching)
        die_of(signal.SIGINT)
    if error is not None and not isinstance(error, SystemExit):
        sys.excepthook(type(error), error, error.__traceback__)
        _show(watching)
        raise typer.Exit(1)
    _show(watching)
    if isinstance(error, SystemExit) and error.code not in (None, 0):
        raise error
    assert watching.judgement is not None
    raise typer.Exit(watching.judgement.exit_code)
