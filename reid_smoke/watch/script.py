"""Run somebody's script, folder, archive or module in this process just as `python` would.

`__main__`, `sys.argv`, `sys.path[0]`, `__file__` and the traceback are what plain Python would make of them. Only the
frames of this package are taken out of a traceback: nobody mends their training by reading ours.
"""

from __future__ import annotations

import builtins
import importlib.util
import os
import pkgutil
import runpy
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Literal

from reid_smoke.errors import UsageError, nearest

OURS = str(Path(__file__).resolve().parents[1]) + os.sep


@dataclass(frozen=True)
class Script:
    """What to run: found, but not run yet."""

    kind: Literal["file", "folder", "module"]  # folder: a zip archive, too
    name: str  # as the user wrote it
    path: str  # absolute, not tidied; python keeps a `./` or `../` in the middle
    code: types.CodeType | None = None  # of a file

    @property
    def title(self) -> str:
        """A short name without folders."""
        return self.name.rpartition(".")[2] if self.kind == "module" else Path(self.path).stem

    @property
    def words(self) -> tuple[str, ...]:
        """How it stands on a command line."""
        return ("-m", self.name) if self.kind == "module" else (self.name,)


def find_script(name: str) -> Script:
    """The script at a path. Raises UsageError where there is none, and SyntaxError as python would."""
    path = Path(name)
    full = os.path.join(os.getcwd(), name)  # noqa: PTH109, PTH118  # a Path would tidy it, which python does not
    if path.is_dir() and not (path / "__main__.py").is_file():
        found = sorted(p.name for p in path.glob("*.py"))[:5]
        hint = f" It holds {', '.join(found)}: name one of them." if found else " It holds no Python file."
        raise UsageError(f"{name}: this is a folder without __main__.py.{hint}")
    if not path.exists():
        folder = path.parent if path.parent.is_dir() else Path()
        near = nearest(path.name, [p.name for p in folder.glob("*.py")])
        hint = f" Did you mean {folder / near[0]}?" if near else ""
        raise UsageError(f"{name}: no such script.{hint}")
    if pkgutil.get_importer(full) is not None:  # this is how python itself tells a folder or an archive from a file
        return Script("folder", name, full)
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{name}: cannot be read ({error.strerror}).") from error
    # dont_inherit: our own `from __future__` must not change their source's meaning.
    return Script("file", name, full, compile(source, full, "exec", dont_inherit=True))


def find_module(name: str) -> Script:
    """The module that `python -m name` would run. Raises UsageError where there is no such package.

    Nothing of theirs is imported here: that belongs to the watched run.
    """
    here = os.getcwd()  # noqa: PTH109  # as a plain string, which sys.path takes
    _set_path0(here)
    top = name.partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise UsageError(f"-m {name}: there is no module {top!r}. Modules are looked for in {here} first.")
    return Script("module", name, here)


def run_as_main(script: Script, arguments: Sequence[str]) -> None:
    """Execute the script as `__main__`. Whatever it raises, SystemExit too, is raised on."""
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    if "__annotations__" in vars(sys.modules["__main__"]):  # until Python 3.13
        main.__annotations__ = {}
    sys.modules["__main__"] = main
    sys.orig_argv[1:] = [*script.words, *arguments]
    if script.kind == "module":
        sys.argv = ["-m", *arguments]  # runpy puts the module's file in the place of -m
        _set_path0(script.path)
        _run_module(script.name, alter_argv=True)
        return
    sys.argv = [script.name, *arguments]
    if script.kind == "folder":
        _set_path0(script.path, always=True)
        _run_module("__main__", alter_argv=False)
        return
    assert script.code is not None
    _set_path0(os.path.dirname(os.path.realpath(script.path)))  # noqa: PTH120  # as a plain string
    main.__dict__.update(
        __file__=script.path, __cached__=None, __loader__=SourceFileLoader("__main__", script.path)
    )  # fmt: skip
    exec(script.code, main.__dict__)


def _run_module(name: str, *, alter_argv: bool) -> None:
    """What `python -m` and `python FOLDER` call themselves, so that even runpy's frames in a traceback are theirs."""
    runpy._run_module_as_main(name, alter_argv)  # type: ignore[attr-defined]  # the same from Python 3.3 to 3.14


def _set_path0(path0: str, *, always: bool = False) -> None:
    """The folder of our own entry point stands first; under python it is theirs that does."""
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = path0
    elif always:
        sys.path.insert(0, path0)


def without_our_frames(error: BaseException) -> BaseException:
    """`error` with the frames of this package taken out of its traceback, and out of those of all that it carries."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _clean(one.__traceback__)
        todo += [one.__cause__, one.__context__]
        members = getattr(one, "exceptions", ())  # of an ExceptionGroup
        todo += [m for m in members if isinstance(m, BaseException)] if isinstance(members, tuple) else []
    return error


def _clean(trace: types.TracebackType | None) -> types.TracebackType | None:
    kept = []
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(OURS):
            kept.append(trace)
        trace = trace.tb_next
    result: types.TracebackType | None = None
    for entry in reversed(kept):
        result = types.TracebackType(result, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return result
