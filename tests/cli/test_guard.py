"""Every way in which a command can end, through a process of its own: exit codes are what scripts rely on."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import typer
from reid_smoke import errors
from reid_smoke.cli.guard import guarded

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)

@app.command()
@guarded
def command() -> None:
    {body}

app()
"""


def run(body: str, **options: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM.format(body=body)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run(command, text=True, check=False, **streams)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("print('fine')", 0, ""),
        ("raise typer.Exit(1)", 1, ""),
        ("raise errors.ConfigError('a.yaml:1: x: unknown key')", 2, "reid-smoke: a.yaml:1: x: unknown key\n"),
        ("raise errors.CouldNotJudge('nothing was seen')", 3, "reid-smoke: nothing was seen\n"),
        ("raise KeyboardInterrupt", 3, "reid-smoke: interrupted\n"),
    ],
)
def test_a_command_ends_with_its_code_and_message(body: str, code: int, message: str) -> None:
    ended = run(body)
    assert (ended.returncode, ended.stderr) == (code, message)


def test_a_fault_of_ours_says_so_and_is_no_verdict() -> None:
    ended = run("raise KeyError('lost')")
    assert ended.returncode == 3
    assert "KeyError: 'lost'" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("reid-smoke: this is a fault of reid-smoke")


def test_a_closed_pipe_is_quiet_and_no_verdict() -> None:
    reader = subprocess.Popen([sys.executable, "-c", "pass"], stdin=subprocess.PIPE)
    assert reader.stdin is not None
    reader.wait()
    with reader.stdin as pipe:
        ended = run("[print('x' * 1000) for _ in range(1000)]", stdout=pipe.fileno())
    assert (ended.returncode, ended.stderr) == (3, "")
