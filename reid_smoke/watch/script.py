"""Run somebody's script or module in this process just as `python` would.

`__main__`, `sys.argv`, `sys.path[0]`, `__file__` and the traceback are what plain Python would make of them. Only the
frames of this package are taken out of a traceback: nobody mends their training by reading ours.
"""

from __future__ import annotations

import builtins
import importlib.util
import os
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path

from reid_smoke.errors import UsageError, nearest

OURS = str(Path(__file__).resolve().parents[1])


@dataclass(frozen=True)
class Script:
    """What to run, found and compiled, but not run yet."""

    name: str  # as the user wrote it
    path: str  # absolute, of the source file
    argv0: str
    path0: str  # sys.path[0]
    code: types.CodeType
    package: str | None
    spec: ModuleSpec | None  # None for a script, as python has it
    loader: object


def find_script(name: str) -> Script:
    """The script at a path. Raises UsageError where there is none, and SyntaxError as python would."""
    path = Path(name)
    if path.is_dir():
        inside = path / "__main__.py"
        if not inside.is_file():
            found = sorted(p.name for p in path.glob("*.py"))[:5]
            hint = f" It holds {', '.join(found)}: name one of them." if found else " It holds no Python file."
            raise UsageError(f"{name}: this is a folder without __main__.py.{hint}")
        path = inside
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path()
        near = nearest(path.name, [p.name for p in folder.glob("*.py")])
        hint = f" Did you mean {folder / near[0]}?" if near else ""
        raise UsageError(f"{name}: no such script.{hint}")
    full = os.path.abspath(path)  # noqa: PTH100  # resolve() would follow links, which python does not for __file__
    loader = SourceFileLoader("__main__", full)
    # python follows links for sys.path[0] alone
    is_folder = Path(name).is_dir()
    path0 = os.path.abspath(name) if is_folder else str(Path(full).resolve().parent)  # noqa: PTH100
    return Script(name, full, name, path0, _compile(full), "" if is_folder else None, None, loader)


def find_module(name: str) -> Script:
    """The module that `python -m name` would run. Raises UsageError where there is none."""
    here = os.getcwd()  # noqa: PTH109  # as a plain string, which sys.path takes
    _set_path0(here)
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
            if spec is None:
                raise UsageError(f"-m {name}: this is a package without __main__, and cannot be run itself.")
    except ModuleNotFoundError as error:
        raise UsageError(f"-m {name}: {error.msg}. Modules are looked for in {here} first.") from error
    if spec is None or spec.origin is None or not spec.has_location:
        raise UsageError(f"-m {name}: no such module with Python source. Modules are looked for in {here} first.")
    code = _compile(spec.origin)
    return Script(f"-m {name}", spec.origin, spec.origin, here, code, spec.parent, spec, spec.loader)


def _compile(path: str) -> types.CodeType:
    # dont_inherit: our own `from __future__` must not change their source's meaning.
    return compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)


def run_as_main(script: Script, arguments: Sequence[str]) -> None:
    """Execute the script as `__main__`. Whatever it raises, SystemExit too, is raised on."""
    main = types.ModuleType("__main__")
    main.__dict__.update(
        __file__=script.path,
        __builtins__=builtins,
        __loader__=script.loader,
        __package__=script.package,
        __spec__=script.spec,
        __cached__=None,
    )
    sys.modules["__main__"] = main
    sys.argv = [script.argv0, *arguments]
    _set_path0(script.path0)
    exec(script.code, main.__dict__)


def _set_path0(path0: str) -> None:
    """The folder of our own entry point stands first; under python it is theirs that does."""
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = path0


def without_our_frames(error: BaseException) -> BaseException:
    """`error` with the frames of this package taken out of its traceback, and out of those of its causes."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _clean(one.__traceback__)
        todo += [one.__cause__, one.__context__]
    return error


def _clean(trace: types.TracebackType | None) -> types.TracebackType | None:
    kept = []
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(OURS + os.sep):
            kept.append(trace)
        trace = trace.tb_next
    result: types.TracebackType | None = None
    for entry in reversed(kept):
        result = types.TracebackType(result, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return result
