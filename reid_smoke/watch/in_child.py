"""What a process that `torch.multiprocessing` starts gets of us, and where its training is watched.

torch starts `_wrap(fn, index, args, error_file)` in the process, which calls `fn(index, *args)` and writes down what it
raises. `InChild` takes the place of `_wrap` and calls it. This module is imported wherever it is unpickled: nothing but
what Python has is imported at its top.
"""

from __future__ import annotations

import pickle
import re
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reid_smoke.watch.started import StartedWatch

SPAWN = "torch.multiprocessing.spawn"  # the module: in its package a function has the same name
WRAP = "_wrap"


@dataclass(frozen=True)
class Plan:
    """How to watch there. folder: below which the facts are written, one folder a launch.

    window, head: as of a Watch. started: `time.perf_counter()` at the script's start, which all processes of a machine
    count from the same moment. tells: the plan to judge by, as lines of facts.jsonl, for the first process, which then
    says on stderr what is certain; empty: none says anything.
    """

    folder: str
    window: tuple[int, int]
    head: re.Pattern[str] | None
    started: float
    tells: tuple[str, ...] = ()


class InChild:
    """Stands in the place of torch's `_wrap`, and is pickled with it.

    launch: counted from 1; which call started the process. processes: how many that one starts.
    """

    def __init__(self, plan: Plan, launch: int = 0, processes: int = 1, original: Callable[..., None] | None = None):
        self.__module__ = SPAWN  # where whoever pickles it by its name looks for it
        self.plan, self.launch, self.processes = plan, launch, processes
        self._original = original

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Where the new process would not find this package, it gets torch's own function, and trains unwatched."""
        if not _is_found():
            return WRAP
        return InChild, (self.plan, self.launch, self.processes)

    def __call__(self, function: Any, index: int, args: tuple[Any, ...], error_file: str) -> None:
        wrap = self._original or getattr(import_module(SPAWN), WRAP)
        watch = self._watch(index)
        returned: list[object] = []
        # torch writes down the traceback as it finds it. These iterators call the function without a frame of ours.
        call = map(returned.append, starmap(function, [(index, *args)]))
        ended_by: BaseException | None = None
        try:
            wrap(next, call, (), error_file)
            if not returned:  # torch keeps an interrupt to itself
                ended_by = KeyboardInterrupt()
        except SystemExit as exiting:
            ended_by = exiting
            if exiting.__context__ is not None and Path(error_file).exists():  # torch's own, after an error
                ended_by = exiting.__context__
                _write_without_us(ended_by, error_file)
            raise
        except BaseException as error:
            ended_by = error
            raise
        finally:
            with suppress(KeyboardInterrupt):
                if watch is not None:
                    watch.finish(ended_by)
            del ended_by, watch

    def _watch(self, index: int) -> StartedWatch | None:
        """None: it cannot be watched, and the report will say so."""
        try:
            from reid_smoke.watch.started import StartedWatch

            watch = StartedWatch(self.plan, self.launch, index, self.processes)
            watch.start()
        except Exception:
            return None
        return watch


def _write_without_us(error: BaseException, error_file: str) -> None:
    """What torch wrote for the process that waits, once more, but for the frames of our hooks."""
    with suppress(Exception):
        from reid_smoke.watch.script import without_our_frames

        text = traceback.format_exception(without_our_frames(error))
        aside = Path(f"{error_file}.new")
        aside.write_bytes(pickle.dumps("".join(text)))
        aside.replace(error_file)


def _is_found() -> bool:
    """Whether a fresh interpreter with this one's sys.path finds this very package."""
    package = __name__.partition(".")[0]
    for finder in sys.meta_path:
        with suppress(Exception):
            spec = finder.find_spec(package, None)
            if spec is not None:
                return spec.origin == sys.modules[package].__file__
    return False
