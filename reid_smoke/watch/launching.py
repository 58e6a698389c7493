"""At torch's door to processes that train together: `torch.multiprocessing.spawn` and `start_processes`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack, suppress
from importlib import import_module
from typing import Any

import torch

from reid_smoke.watch.hooks import _argument, _passed_over
from reid_smoke.watch.in_child import SPAWN, WRAP, InChild, Plan


def watch_launches(
    plan: Plan, begins: Callable[[int], int], leaves: Callable[[list[int]], None], undo: ExitStack
) -> None:
    """From now on, until `undo` is closed, each process that torch starts gets `plan` along.

    begins: told how many processes a launch will start, gives its number. leaves: told the pids of those that the
    script does not wait for there.
    """
    module = import_module(SPAWN)
    original = getattr(module, WRAP)
    if original.__code__.co_argcount != 4:
        return  # a torch that does this in another way
    in_child = InChild(plan, original=original)
    start = module.start_processes

    @functools.wraps(start)
    def start_processes(*args: Any, **kwargs: Any) -> Any:
        with suppress(Exception):
            processes = _argument(args, kwargs, 2, "nprocs")
            in_child.processes = processes if isinstance(processes, int) else 1
            in_child.launch = begins(in_child.processes)
        context = start(*args, **kwargs)
        with suppress(Exception):
            if context is not None:
                leaves(context.pids())
        return context

    _passed_over(start_processes)
    _put(module, WRAP, in_child, undo)
    for owner in (module, torch.multiprocessing):
        if owner.__dict__.get("start_processes") is start:
            _put(owner, "start_processes", start_processes, undo)


def _put(owner: Any, name: str, new: Any, undo: ExitStack) -> None:
    original = owner.__dict__[name]
    setattr(owner, name, new)

    def restore() -> None:
        if owner.__dict__.get(name) is new:  # else somebody wrapped it after us
            setattr(owner, name, original)

    undo.callback(restore)
