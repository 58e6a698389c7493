"""A script under `watch` sees, says and ends with what it would under python. None of these imports torch."""

from __future__ import annotations

import re
import signal
import sys
import zipfile
from pathlib import Path

import pytest

from tests.watch.both import PYTHON, WATCH, run, run_and_signal, run_both, write

SHOW = '''
"""What a module sees of itself."""
import inspect, os, pickle, sys, threading, warnings

class Model:
    pass

def function():
    return 1

print(sys.argv, sys.orig_argv[1:], sys.path, sys.flags, os.getcwd())
print(__name__, __file__, __package__, __spec__, __doc__, __cached__, __builtins__.__class__, __loader__, sorted(globals()))
print(sys.modules["__main__"].__dict__ is globals(), Model.__module__)
if "my.zip" not in sys.argv[0]:
    print(inspect.getsource(function), inspect.getsource(Model), inspect.getfile(Model))
print(type(pickle.loads(pickle.dumps(Model()))) is Model)
print(warnings.filters, "torch" in sys.modules, "numpy" in sys.modules, [t.name for t in threading.enumerate()])
print(repr(sys.stdin.read()), sys.stdout.line_buffering)
warnings.warn("old", DeprecationWarning)
print("to stderr", file=sys.stderr)
'''  # noqa: E501


@pytest.mark.parametrize(
    "words",
    ["show.py", "./show.py", "inner/../show.py", "link.py", "inner", "./inner/", "my.zip", "-m inner", "-m inner.mod"],
)  # fmt: skip
def test_it_sees_the_same(tmp_path: Path, words: str) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path, show=SHOW)
    write(tmp_path / "inner", __init__="", __main__=SHOW, mod=SHOW)
    write(tmp_path / "elsewhere", real=SHOW)
    (tmp_path / "link.py").symlink_to(tmp_path / "elsewhere" / "real.py")
    with zipfile.ZipFile(tmp_path / "my.zip", "w") as archive:
        archive.writestr("__main__.py", SHOW)
    ended = run_both(tmp_path, *words.split(), "--help", "--lr", "-1", "--", "--out", "x", stdin="typed in")
    ended.assert_same_output()
    assert "'--help', '--lr', '-1', '--', '--out', 'x'" in ended.watch.out
    assert (ended.python.code, ended.watch.code) == (0, 3)  # it does not train


ENDS = {
    "exit with a number": "sys.exit(7)",
    "exit with True": "sys.exit(True)",
    "exit by the builtin": "exit(4)",
    "exit past everything": "os._exit(5)",
    "exception": "raise ValueError('no')",
    "chained exceptions": """
        def fail():
            try:
                {}["a"]
            except KeyError as error:
                raise ValueError("no") from error
        try:
            fail()
        except ValueError:
            raise RuntimeError("while at it")
    """,
    "group of exceptions": """
        def member():
            try:
                1 / 0
            except ZeroDivisionError as error:
                return error
        try:
            raise ExceptionGroup("several", [member(), ValueError("no")])
        except NameError:  # Python 3.10 has no groups
            raise
    """,
    "hook of theirs": """
        sys.excepthook = lambda kind, error, trace: print("theirs:", kind, error, trace.tb_lineno, file=sys.stderr)
        raise ValueError("no")
    """,
    "recursion in a module of theirs": "import helper; helper.go(3)",
    "stdout taken over": """
        class Both:
            def write(self, text): real.write(text.upper()); return len(text)
            def flush(self): real.flush()
        real, sys.stdout, sys.stderr = sys.stdout, Both(), open("log.txt", "w")
        print("logged")
        sys.exit(2)
    """,
}


@pytest.mark.parametrize("body", ENDS.values(), ids=ENDS)
def test_it_ends_the_same(tmp_path: Path, body: str) -> None:
    lines = "\n".join(line[8:] if line.startswith(" " * 8) else line for line in body.splitlines())
    write(tmp_path, helper="def go(n):\n    go(n - 1) if n else 1 / 0\n")
    write(
        tmp_path,
        script=f"""
import atexit, os, sys
atexit.register(print, "registered first")
atexit.register(print, "registered last")
print("out")
print("err", file=sys.stderr)
{lines}
""",
    )
    ended = run_both(tmp_path, "script.py")
    ended.assert_same_output()
    assert ended.watch.code == ended.python.code != 0
    assert ("UNKNOWN" in ended.watch.err) == ("_exit" not in body)


def test_a_text_that_it_exits_with_is_said(tmp_path: Path) -> None:
    write(tmp_path, script="import sys; sys.exit('no data here')")
    ended = run_both(tmp_path, "script.py")
    assert (ended.python.code, ended.watch.code) == (1, 1)
    assert ended.python.err == "no data here\n"
    assert ended.watch.err.endswith("no data here\n")


@pytest.mark.parametrize("words", ["broken.py", "-m package.broken", "-m package.nowhere", "-m package.crashing"])
def test_what_cannot_be_run_fails_the_same(tmp_path: Path, words: str) -> None:
    (tmp_path / "package").mkdir()
    write(tmp_path, broken="def f(:\n")
    write(tmp_path / "package", __init__="", broken="x = (\n", crashing="import nothing_of_this_name\n")
    ended = run_both(tmp_path, *words.split())
    assert ended.watch.code == ended.python.code == 1
    # What runpy itself has to say it leaves to its caller's exit, and so it comes after the report.
    # It names the interpreter, which may be called by either of its names: python or python3.
    assert re.sub(r"^\S*python[\d.]*: ", "", ended.python.err.strip()) in ended.watch.err


def test_threads_are_waited_for(tmp_path: Path) -> None:
    write(
        tmp_path,
        script="""
            import threading, time
            from concurrent.futures import ThreadPoolExecutor

            def late(what):
                time.sleep(0.5)
                print(what)

            pool = ThreadPoolExecutor(1)
            pool.submit(print, "in a pool").result()  # its idle worker lives on
            threading.Thread(target=late, args=["in a thread"]).start()
            print("main is over")
        """,
    )
    ended = run_both(tmp_path, "script.py")
    ended.assert_same_output()
    assert ended.python.out == "in a pool\nmain is over\nin a thread\n"


def test_processes_are_plain_python(tmp_path: Path) -> None:
    write(
        tmp_path,
        script="""
            import multiprocessing, os, signal, subprocess, sys

            class Item:
                def __init__(self, value): self.value = value

            def work(item):
                plain = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
                return item.value, __name__, sys.argv, sys.path, plain

            if __name__ == "__main__":
                multiprocessing.set_start_method("spawn")  # raises where somebody has settled it already
                for method in ("spawn", "fork"):
                    with multiprocessing.get_context(method).Pool(1) as pool:
                        print(method, pool.map(work, [Item(1), Item(2)]))
                print(subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True).stdout, flush=True)
                if os.fork() == 0:
                    print("in the fork")
                    sys.exit(0)
                print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
                if os.fork() == 0:
                    raise ValueError("of the fork")
                print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
        """,
    )
    ended = run_both(tmp_path, "script.py", "--lr", "1")
    ended.assert_same_output()
    assert "in the fork\n0\n1\n" in ended.python.out
    assert ended.watch.err.count("UNKNOWN") == 1


WAITS = """
import atexit, os, signal, sys, time
atexit.register(print, "at exit")
if "own" in sys.argv:
    def handle(number, frame):
        print("handled", number)
        sys.exit(9)
    print(signal.signal(signal.SIGTERM, handle) is not None, signal.signal(signal.SIGINT, handle))
sys.stdout.flush()
try:
    print("in the buffer", end="")
    os.write(1, b"ready\\n")
    time.sleep(60)
finally:
    print("finally")
"""


@pytest.mark.parametrize("argument", ["plain", "own"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_the_same(tmp_path: Path, number: signal.Signals, argument: str) -> None:
    write(tmp_path, script=WAITS)
    python = run_and_signal(tmp_path, number, *PYTHON, "script.py", argument)
    watch = run_and_signal(tmp_path, number, *WATCH, "script.py", argument)
    handled = argument == "own" and number != signal.SIGHUP
    assert watch.code == python.code == (9 if handled else -number)
    assert watch.out == python.out
    assert watch.err.startswith(python.err)
    assert "UNKNOWN" in watch.err


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    write(tmp_path, script="import os, signal\nos.kill(os.getpid(), signal.SIGHUP)\nprint('alive')")
    ended = run(tmp_path, "nohup", *WATCH, "script.py")
    assert (ended.code, ended.out) == (3, "alive\n")


@pytest.mark.parametrize("words", ["script.py", "-m script"])
@pytest.mark.parametrize("buffered", ["", "1"])
def test_the_order_of_the_streams_is_kept(tmp_path: Path, buffered: str, words: str) -> None:
    write(
        tmp_path,
        both_in_one="""
            import subprocess, sys
            sys.exit(subprocess.run(sys.argv[1:], stderr=subprocess.STDOUT).returncode)
        """,
        script="""
            import sys
            for i in range(3):
                print("out", i)
                print("err", i, file=sys.stderr)
            raise ValueError("no")
        """,
    )
    python, watch = (
        run(
            tmp_path,
            *(sys.executable, "both_in_one.py", *command, *words.split()),
            environment={"PYTHONUNBUFFERED": buffered},
        )
        for command in (PYTHON, WATCH)
    )
    assert (python.code, watch.code) == (1, 1)
    assert watch.out.startswith(python.out)
