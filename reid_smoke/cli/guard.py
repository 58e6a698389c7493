"""How a command ends that did not end well: a message on stderr and an exit code, the same for every command."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer

from reid_smoke.errors import CouldNotJudge, ReidSmokeError
from reid_smoke.watch.ranks import alone, speaks

PATIENCE = 10.0  # seconds that a rank leaves it to the first to say what is wrong

Parameters = ParamSpec("Parameters")


def guarded(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """`command`, with its errors turned into messages and exit codes. It ends otherwise only by typer.Exit.

    Typer would end with 1 after Ctrl-C or a closed pipe, and 1 means NO-GO: nothing but a verdict may say that.
    """

    @wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()  # here, where a pipe that was closed can still be told from a fault
        except typer.Exit:
            raise
        except ReidSmokeError as error:
            _after_the_first_rank()
            say(str(error))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            if speaks():
                say("interrupted")
            raise typer.Exit(CouldNotJudge.exit_code) from None
        except BrokenPipeError:
            # The reader (`| head`) has seen enough. What is still buffered must not fail again at the very end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(CouldNotJudge.exit_code) from None
        except Exception:  # a fault of ours: said as one, with its traceback
            import traceback

            traceback.print_exc()
            say("this is a fault of reid-smoke, not of your training. Please report it with the lines above")
            raise typer.Exit(CouldNotJudge.exit_code) from None

    return run


def _after_the_first_rank() -> None:
    """Of several ranks the first most likely says the same now, and its launcher then ends this one."""
    if not speaks() and not alone():
        time.sleep(PATIENCE)


def say(message: str) -> None:
    """One message on stderr, under our name."""
    print(f"reid-smoke: {message}", file=sys.stderr)
