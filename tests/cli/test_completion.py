"""Completion as bash asks for it, by the installed command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reid_smoke.checks.catalogue import catalogue, find_check

ENTRY = Path(sys.executable).with_name("reid-smoke")
ASK = """
source <(_REID_SMOKE_COMPLETE=source_bash reid-smoke)
while read -ra COMP_WORDS; do
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    [ "${COMP_WORDS[-1]}" = _ ] && COMP_WORDS[-1]=""
    COMPREPLY=()
    _reid_smoke_completion reid-smoke
    echo "${COMPREPLY[*]}"
done
"""

pytestmark = pytest.mark.skipif(not shutil.which("bash") or not ENTRY.exists(), reason="needs bash and the command")


def completed(folder: Path, *lines: str) -> list[list[str]]:
    """What bash offers at the end of each line; `_` stands for a word of which nothing is typed yet."""
    (folder / "torch").mkdir()
    (folder / "torch" / "__init__.py").write_text("raise SystemExit('torch was imported')")
    environment = os.environ | {
        "PATH": f"{ENTRY.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH")))),
    }
    ended = subprocess.run(
        ["bash", "-c", ASK], cwd=folder, env=environment, input="\n".join(lines) + "\n", capture_output=True, text=True,
        timeout=120, check=True,
    )  # fmt: skip
    assert ended.stderr == ""
    return [line.split() for line in ended.stdout.splitlines()]


def test_bash_completes(tmp_path: Path) -> None:
    for run in ("runs/one", "runs/two", "kept"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "facts.jsonl").touch()
    (tmp_path / "data").mkdir()
    commands, codes, names, formats, runs, second, files = completed(
        tmp_path,
        "reid-smoke co",
        "reid-smoke explain rs30",
        "reid-smoke explain head-not",
        "reid-smoke report --format ju",
        "reid-smoke report _",
        "reid-smoke compare kept runs/t",
        "reid-smoke run da",
    )
    assert commands == ["compare"]
    assert codes == [check.code.lower() for check in catalogue() if check.code.startswith("RS30")]
    assert names == [find_check("RS302").slug]
    assert formats == ["junit"]
    assert runs == ["kept", "runs/one", "runs/two"]
    assert second == ["runs/two"]
    assert files == []  # bash then offers files
