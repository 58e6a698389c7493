"""`reid-smoke watch`: the verdict on somebody's own training script, which runs as python would run it."""

from __future__ import annotations

import atexit
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from reid_smoke.cli import STARTED
from reid_smoke.cli.options import Baseline, Out, Quiet
from reid_smoke.errors import CouldNotJudge, UsageError

if TYPE_CHECKING:
    from reid_smoke.facts import BaselineFacts
    from reid_smoke.last_resort import LastResort
    from reid_smoke.watch.script import Script
    from reid_smoke.watch.signals import LastWords
    from reid_smoke.watch.watching import Watch

# Options end at the script's name: `watch train.py --lr 1 --help` reaches it untouched.
CONTEXT = {"allow_extra_args": True, "allow_interspersed_args": False}


def watch(
    context: typer.Context,
    script: Annotated[str, typer.Argument(metavar="SCRIPT [ARGS]...", show_default=False)],
    module: Annotated[bool, typer.Option("-m", help="SCRIPT is a module, as in python -m.")] = False,
    window: Annotated[str, typer.Option(metavar="FIRST:LAST", help="Steps over which CE is judged.")] = "200:300",
    stop: Annotated[bool, typer.Option("--stop", help="End the training when the verdict is certain.")] = False,
    head: Annotated[
        str | None, typer.Option(metavar="REGEX", help="The head's weight, where a loss has several.")
    ] = None,
    triage: Annotated[
        bool, typer.Option("--triage", help="Keep the first batches, and after a NO-GO try where the fault lies.")
    ] = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE=REASON", help="A check whose finding may stand, and why. May be repeated."),
    ] = None,
    baseline: Baseline = None,
    out: Out = None,
    quiet: Quiet = False,
    json: Annotated[bool, typer.Option("--json", hidden=True)] = False,
) -> None:
    """Run your own training script unchanged, and say Go or No-Go with the cause.

    The script sees what it would see under python. The report goes to stderr; its own exit code goes first. Stdout is
    the script's alone, so that there is no --json here: with --out DIR the report is in DIR/report.json at its end.
    """
    if json:
        raise UsageError(
            "--json: stdout is your script's here, and what it prints would stand before the report. "
            "Give --out DIR, and read DIR/report.json when it has ended."
        )
    from reid_smoke.watch.ranks import alone, meeting_place, ranks, speaks
    from reid_smoke.watch.script import find_module, find_script

    steps = _window(window)
    ignored = _ignored(ignore)
    former = _former(baseline)
    arguments = list(context.args)
    try:
        found = find_module(script) if module else find_script(script)
    except SyntaxError as error:
        sys.excepthook(SyntaxError, error.with_traceback(None), None)
        raise typer.Exit(1) from None

    from reid_smoke.last_resort import SECONDS_OF_FIRST
    from reid_smoke.rank_files import OtherRanks
    from reid_smoke.watch.saying import sayer
    from reid_smoke.watch.signals import LastWords
    from reid_smoke.watch.watching import StopTraining, Watch, head_pattern

    pattern = head_pattern(head)
    if not speaks():
        _follow(found, arguments, steps, pattern, out)
        return
    say = sayer(sys.stderr)
    if stop and not alone():
        say("--stop is left out: the other processes would wait for this one for ever")
        stop = False
    watching = Watch(
        re.sub(r"[^\w.-]+", "-", found.title),
        window=steps,
        out=out,
        stop=stop,
        head=pattern,
        triage=triage,
        quiet=quiet,
        ignored=ignored,
        baseline=former,
        command=shlex.join(["reid-smoke", *sys.argv[1:]]),  # as typed; the script has not changed it yet
        say=None if quiet else say,
        started=STARTED,
        tells=not quiet,
        ranks=ranks(),
        others=None if alone() else OtherRanks(meeting_place(out), ranks(), time.time()),
    )
    show = _shower(watching, sys.stderr, say, quiet=quiet)
    last_words = LastWords(_reporter(watching, show), lambda: watching.trying)
    last_words.listen()

    def end_here() -> None:
        watching.abandon()
        show()

    with _hanging(SECONDS_OF_FIRST, last_words, end_here) as resort:
        last_words.said = resort.stand_down
        watching.start()
        ended_by = _run(found, arguments)
        raised = None if isinstance(ended_by, StopTraining) else ended_by
        _end(raised, lambda: last_words.say(ended_by), lambda: watching.is_trained_elsewhere)


def _follow(
    script: Script, arguments: list[str], window: tuple[int, int], head: re.Pattern[str] | None, out: Path | None
) -> None:
    """On a rank other than the first: run the script, and write down for the first what is seen of it."""
    from reid_smoke.last_resort import SECONDS_OF_OTHERS
    from reid_smoke.watch.other_rank import OtherRankWatch
    from reid_smoke.watch.ranks import alone, meeting_place, rank, ranks
    from reid_smoke.watch.signals import LastWords

    if alone():  # RANK without WORLD_SIZE: no launcher of several processes
        _end(_run(script, arguments), lambda: 0)
        return
    watching = OtherRankWatch(meeting_place(out), rank(), ranks(), window=window, head=head)

    def finish(ended_by: BaseException | None) -> int:
        watching.finish(ended_by)
        return 0

    last_words = LastWords(finish)
    last_words.listen()
    with _hanging(SECONDS_OF_OTHERS, last_words, watching.abandon) as resort:
        last_words.said = resort.stand_down
        watching.start()
        ended_by = _run(script, arguments)
        _end(ended_by, lambda: last_words.say(ended_by))


def _hanging(patience: float, last_words: LastWords, abandon: Callable[[], None]) -> LastResort:
    """Answers SIGTERM where the main thread waits in C for another rank: plain python would have died at once."""
    from reid_smoke.last_resort import LastResort
    from reid_smoke.watch.ranks import alone
    from reid_smoke.watch.signals import die_of_from_a_thread

    def act() -> None:
        if last_words.listens:
            try:
                abandon()
            finally:
                die_of_from_a_thread(signal.SIGTERM)

    return LastResort(None if alone() else patience, act, (signal.SIGTERM,))


def _window(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+):(\d+)", text)
    if not match or not 0 < int(match[1]) < int(match[2]):
        raise UsageError(f"--window {text}: this is no window. Give its first and last step, as in 200:300.")
    return int(match[1]), int(match[2])


def _ignored(options: list[str] | None) -> dict[str, str]:
    if not options:
        return {}  # nobody waits for the catalogue
    from reid_smoke.checks.ignoring import read_ignored

    return read_ignored(options)


def _former(path: Path | None) -> BaselineFacts | None:
    if path is None:
        return None
    from reid_smoke.baseline import read_baseline

    return read_baseline(path)


def _run(script: Script, arguments: list[str]) -> BaseException | None:
    """Run it, and return what ended it; None: it came to its end."""
    from reid_smoke.watch.script import run_as_main, without_our_frames

    ended_by = None
    try:
        run_as_main(script, arguments)
    except BaseException as raised:
        ended_by = without_our_frames(raised)
    if script.kind == "file":  # python does so before it shows a traceback, but not after a module
        _flush_stdout()
    return ended_by


def _flush_stdout() -> None:
    with suppress(Exception):  # a stream of theirs
        sys.stdout.flush()


def _end(
    error: BaseException | None, judged: Callable[[], int], is_trained_elsewhere: Callable[[], bool] = lambda: False
) -> None:
    """Leave as the script would have left; where that is with 0, with the code that `judged` returns.

    The order is python's own: the traceback, then the threads that still run, and only then the report. For processes
    python waits among its exit functions, which come before the report where it is for a training in one of them.
    """
    from reid_smoke.watch.signals import die_of_interrupt
    from reid_smoke.watch.threads import wait_for_threads

    is_exit = isinstance(error, SystemExit)
    if error is not None and not is_exit:
        sys.excepthook(type(error), error, error.__traceback__)
    with suppress(KeyboardInterrupt):
        wait_for_threads()
    if is_trained_elsewhere():
        atexit._run_exitfuncs()
    _flush_stdout()
    code = judged()
    if isinstance(error, KeyboardInterrupt):
        die_of_interrupt()
    if isinstance(error, SystemExit) and error.code not in (None, 0):
        raise error
    raise typer.Exit(1 if error is not None and not is_exit else code)


def _shower(watching: Watch, stream: TextIO, say: Callable[[str], None], *, quiet: bool) -> Callable[[], None]:
    """What shows the report of a watch that is over on `stream`.

    `stream` is stderr as it was before their script, which may put a log in its place.
    """

    def show() -> None:
        if watching.report is not None:
            from rich.console import Console

            from reid_smoke.report.terminal import render_briefly, render_terminal

            with suppress(OSError, ValueError):
                if quiet:
                    render_briefly(watching.report, Console(file=stream))
                else:
                    render_terminal(watching.report, Console(file=stream), folder=_shown(watching.folder))
        if watching.error:
            say(watching.error)

    return show


def _reporter(watching: Watch, show: Callable[[], None]) -> Callable[[BaseException | None], int]:
    """What ends the watch, shows its report, and returns the verdict's exit code."""

    def report(ended_by: BaseException | None) -> int:
        if watching.is_copy:
            return 0
        watching.finish(ended_by)
        show()
        if watching.judgement is None or watching.report is None:
            return CouldNotJudge.exit_code
        return watching.judgement.exit_code

    return report


def _shown(folder: Path) -> Path:
    """As short as it can be said from here."""
    try:
        return folder.relative_to(Path.cwd())
    except (OSError, ValueError):
        return folder
