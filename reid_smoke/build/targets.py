"""What a config names by import path, `package.module:factory`: imported, called, and told of where that fails.

Whatever their code raises is shown with its traceback, cut to their frames, and then said in one line.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reid_smoke.errors import ModelError, in_a_line, nearest

CLASS_ARGUMENTS = ("num_classes", "class_num", "num_class", "n_classes", "nclasses", "num_pids", "num_ids")


def make_module(
    section: str, target: str, cwd: Path | None, kwargs: Mapping[str, Any], filled: Mapping[str, Any]
) -> nn.Module:
    """Import `target` and call it with `kwargs`, and with those of `filled` that it takes and was not given.

    section: of the config, `model` or the like, for messages. Only what the user names is imported; `cwd`, or else the
    working directory, leads sys.path meanwhile.

    Raises ModelError: no such module or name, an exception of theirs (after its traceback on stderr), something else
    than a module.
    """
    module_name, _, path = target.partition(":")
    folder = (cwd or Path()).resolve()
    if not folder.is_dir():
        raise ModelError(f"{section}.cwd: {cwd} is no folder. It is the one that {section}.target is imported from")
    with _importing_from(folder):
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not (module_name == error.name or module_name.startswith(f"{error.name}.")):
                show(error)
                raise ModelError(
                    f"{section}.target: {module_name} imports {error.name}, which is not installed"
                ) from error
            raise ModelError(
                f"{section}.target: there is no module {error.name} in {folder} or in the environment. "
                f"Name the folder that it is imported from as {section}.cwd"
            ) from error
        except Exception as error:  # their code, which may raise anything
            show(error)
            raise ModelError(f"{section}.target: importing {module_name} raised {in_a_line(error)}") from error
        for name in path.split("."):
            if not hasattr(found, name):
                near = nearest(name, [known for known in dir(found) if not known.startswith("_")])
                hint = f" Nearest: {', '.join(near)}" if near else ""
                raise ModelError(f"{section}.target: {module_name} has no {path}.{hint}")
            found = getattr(found, name)
        made = found if isinstance(found, nn.Module) else _call(section, target, found, kwargs, filled)
    if not isinstance(made, nn.Module):
        raise ModelError(f"{section}.target: {target} gave {kind(made)}, not a torch.nn.Module")
    return made


def _call(section: str, target: str, factory: Any, given: Mapping[str, Any], filled: Mapping[str, Any]) -> Any:
    if not callable(factory):
        raise ModelError(f"{section}.target: {target} is {kind(factory)}: neither a module nor a factory of one")
    signature = signature_of(factory)
    kwargs = dict(given)
    taken = signature.parameters if signature is not None else {}
    kwargs.update({name: value for name, value in filled.items() if name in taken and name not in kwargs})
    if signature is not None:
        try:
            signature.bind(**kwargs)
        except TypeError as error:
            raise ModelError(
                f"{section}.kwargs: {target} takes {signature}, and was to be called with "
                f"{', '.join(kwargs) or 'nothing'}: {error}"
            ) from error
    try:
        return factory(**kwargs)
    except Exception as error:  # theirs
        show(error)
        raise ModelError(f"{section}.target: {target} raised {in_a_line(error)}") from error


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """sys.path begins with the folder. What is imported stays; the path does not."""
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def signature_of(function: Any) -> inspect.Signature | None:
    """None of what does not tell its own, as what is written in C."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def show(error: BaseException) -> None:
    """The traceback, cut to the user's frames: neither ours nor torch's tell them anything."""
    hidden = (str(Path(__file__).parents[1]), str(Path(torch.__file__).parent), str(Path(importlib.__file__).parent))
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((*hidden, "<frozen "))
    ]
    if frames:
        print("Traceback (most recent call last):", file=sys.stderr)
        print("".join(traceback.format_list(frames)), end="", file=sys.stderr)
        print("".join(traceback.format_exception_only(type(error), error)), end="", file=sys.stderr)


def kind(value: Any) -> str:
    """`a tuple`."""
    return f"a {type(value).__name__}"
