"""Processes of their own that need not wait for imports: each is forked off one that has torch, all modules of ours,
and a small model that torchvision is told of.

Importing takes longer than most of what is tested of a process. What is tested of its start is started as users start
it. One forked off here reads its arguments and its environment anew, and ends as any other; its streams are pipes.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO

IMPORTED = (
    "torch",
    "torch._dynamo",
    "torchvision",
    "numpy",
    "PIL.Image",
    "pydantic",
    "yaml",
    "typer",
    "jinja2",
    "tests.small_resnet",
)
REPOSITORY = Path(__file__).resolve().parents[1]
LAUNCHED = "launched"
NUMBER = struct.Struct("!i")  # a pid, then an exit code


class Process:
    """What the tests use of subprocess.Popen."""

    def __init__(self, connection: socket.socket, stdout: TextIO, stderr: TextIO) -> None:
        self._connection, self.stdout, self._stderr = connection, stdout, stderr
        self.returncode: int | None = None
        self.pid = _number(connection)

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.returncode = _number(self._connection)
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        """What stdout and stderr have still to say. After so many seconds it is killed."""
        patience = threading.Timer(timeout, self.kill)
        patience.start()
        with ThreadPoolExecutor(2) as pool, self.stdout, self._stderr:
            out, err = pool.map(lambda stream: stream.read(), (self.stdout, self._stderr))
        if self.returncode is None:
            self.returncode = _number(self._connection)
            self._connection.close()
        patience.cancel()
        return out, err


class Warm:
    """The process that has imported torch. `folder`: where its socket lies."""

    def __init__(self, folder: Path) -> None:
        self._address = str(folder / "socket")
        folders = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
        # Ctrl-C is for pytest; this one ends when its stdin does, whatever ends pytest.
        self._server = subprocess.Popen(
            [sys.executable, __file__, self._address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            start_new_session=True, env={**os.environ, "PYTHONPATH": ":".join(folders)},
        )  # fmt: skip
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == b"ready\n"

    def close(self) -> None:
        self._server.communicate()

    def start(
        self, *command: str | Path, cwd: Path, environment: Mapping[str, str] | None = None, room: int | None = None
    ) -> Process:
        """`python -m *command`. `room`: the bytes beyond which no file may grow, as on a full disk."""
        asked = {
            "command": [str(word) for word in command],
            "cwd": str(cwd),
            "environment": {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
            "room": room,
        }
        (out, out_end), (err, err_end), nothing = os.pipe(), os.pipe(), os.open(os.devnull, os.O_RDONLY)
        theirs = (nothing, out_end, err_end)
        connection = _ask(self._address, asked, theirs)
        process = Process(connection, open(out), open(err))  # noqa: SIM115, PTH123
        for descriptor in theirs:
            os.close(descriptor)
        return process

    def launched(self) -> list[str]:
        """What a launcher of several processes starts in the place of `python -m`."""
        return [sys.executable, __file__, LAUNCHED, self._address]

    def run(
        self, *command: str | Path, cwd: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(*command, cwd=cwd, environment=environment)
        out, err = process.communicate()
        assert process.returncode is not None
        return subprocess.CompletedProcess([*map(str, command)], process.returncode, out, err)


def _ask(address: str, asked: Mapping[str, object], streams: Sequence[int]) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    socket.send_fds(connection, [json.dumps(asked).encode()], streams)
    connection.shutdown(socket.SHUT_WR)
    return connection


def _stand_in(address: str, command: Sequence[str]) -> NoReturn:
    """For a process that is forked off: its streams and environment are this one's, and this one ends as it does."""
    asked = {"command": command, "cwd": str(Path.cwd()), "environment": dict(os.environ), "room": None}
    connection = _ask(address, asked, (0, 1, 2))
    pid = _number(connection)
    signal.signal(signal.SIGTERM, lambda number, frame: os.kill(pid, number))
    code = _number(connection)
    if code == -signal.SIGTERM:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)


def _number(connection: socket.socket) -> int:
    number: int = NUMBER.unpack(connection.recv(NUMBER.size, socket.MSG_WAITALL))[0]
    return number


def _serve(address: str) -> list[str]:
    """Returns in each process that is asked for, with its command. The server stays, and tells what became of them."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    some_ended, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(tell)
    running: dict[int, socket.socket] = {}
    os.write(1, b"ready\n")
    while True:
        ready = select.select([listener, some_ended, 0], [], [])[0]
        if 0 in ready:  # stdin has ended
            os._exit(0)
        if some_ended in ready:
            os.read(some_ended, 4096)
            _tell_ends(running)
        if listener in ready:
            connection, _ = listener.accept()
            asked, streams, _, _ = socket.recv_fds(connection, 2**20, 3)
            while part := connection.recv(2**20):
                asked += part
            if pid := os.fork():
                running[pid] = connection
                connection.sendall(NUMBER.pack(pid))
                for descriptor in streams:
                    os.close(descriptor)
                continue
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for ours in (listener, connection, *running.values()):
                ours.close()
            os.close(some_ended)
            os.close(tell)
            return _become(json.loads(asked), streams)


def _tell_ends(running: dict[int, socket.socket]) -> None:
    with suppress(ChildProcessError):  # none is left
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            with running.pop(ended[0]) as connection, suppress(BrokenPipeError):  # who asked may have ended, too
                connection.sendall(NUMBER.pack(os.waitstatus_to_exitcode(ended[1])))


def _become(wanted: dict[str, Any], streams: Sequence[int]) -> list[str]:
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    sys.path[0] = wanted["cwd"]
    if wanted["room"] is not None:
        import resource  # which Windows has not, and every test imports this file

        resource.setrlimit(resource.RLIMIT_FSIZE, (wanted["room"], wanted["room"]))
    command: list[str] = wanted["command"]
    return command


def _run(command: list[str]) -> None:
    """`python -m *command`, up to what Python does last: to take every module apart takes longer than most commands."""
    sys.argv[:] = command
    for name, module in sys.modules.items():
        if name.startswith("reid_smoke.cli") and hasattr(module, "STARTED"):
            module.STARTED = time.perf_counter()
    code = 0
    try:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):  # a text, which Python says
            raise
        code = ended.code or 0
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code & 0xFF)


def _import_all() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    package = importlib.import_module("reid_smoke")
    for module in pkgutil.walk_packages(package.__path__, "reid_smoke."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.freeze()


if __name__ == "__main__":
    if sys.argv[1] == LAUNCHED:
        _stand_in(sys.argv[2], sys.argv[3:])
    _import_all()
    _run(_serve(sys.argv[1]))
