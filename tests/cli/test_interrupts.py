"""Whatever ends a run early, what was seen is reported: signals, a crash in the model, a disk that is full."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from reid_smoke.build.model import BNNeckModel
from reid_smoke.facts import CrashFacts, EndFacts, fact_from_json
from reid_smoke.ledger import Ledger
from reid_smoke.report.document import Report
from reid_smoke.verdict import judge
from tests.cli.test_run import AFRESH, QUICK, sets, train, write_people
from tests.warm import Warm

SEEN = 12  # steps, before a run is interrupted
ENDLESS = [*QUICK, "rule.window=[50000,100000]"]


def command(here: Path, *overrides: str) -> list[str]:
    (here / "config.yaml").write_text("name: tiny\n")
    return ["reid_smoke", "run", "config.yaml", *sets(*overrides), "--out", "out"]


def send_in_mid_run(warm: Warm, here: Path, number: int) -> tuple[int | None, str, str]:
    """A run that gets this signal once it has seen some steps: its exit code, stdout and stderr."""
    process = warm.start(*command(here, *ENDLESS), cwd=here)
    try:
        facts, patience = here / "out" / "facts.jsonl", time.monotonic() + 120
        while not facts.exists() or facts.read_bytes().count(b'"kind":"step"') < SEEN:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < patience, "no steps came"
            time.sleep(0.05)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, stdout, stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_in_mid_run_is_reported(warm: Warm, tmp_path: Path, number: int) -> None:
    code, stdout, stderr = send_in_mid_run(warm, tmp_path, number)
    assert code == 3, stderr
    assert "UNKNOWN" in stdout
    assert "Interrupted" in stdout
    assert "Traceback" not in stderr
    report = Report.model_validate_json((tmp_path / "out" / "report.json").read_bytes())
    assert (report.verdict, report.ended) == ("UNKNOWN", "interrupted")
    assert report.global_step >= SEEN
    facts = [fact_from_json(line) for line in (tmp_path / "out" / "facts.jsonl").read_bytes().splitlines()]
    assert isinstance(facts[-1], EndFacts)
    assert len(report.ce.curve) == report.global_step  # no step was lost


def test_what_a_kill_leaves_can_be_judged(warm: Warm, tmp_path: Path) -> None:
    code, stdout, _ = send_in_mid_run(warm, tmp_path, signal.SIGKILL)
    assert (code, stdout) == (-signal.SIGKILL, "")
    assert not (tmp_path / "out" / "report.json").exists()
    ledger = Ledger.read(tmp_path / "out" / "facts.jsonl")
    assert ledger.unread_lines <= 1  # the last line, where the kill tore it
    assert len(ledger.steps) >= SEEN
    judgement = judge(ledger, ended=True)
    assert judgement.verdict.word == "UNKNOWN"
    assert f"{len(ledger.steps)} of the 100000 steps" in judgement.verdict.reason


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children of a process are listed in Linux's /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_while_starting_leaves_no_folder_and_no_process(tmp_path: Path, number: int) -> None:
    """The data are read in a child, beside the import of torch."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command(tmp_path, *ENDLESS, AFRESH)], cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        listed, patience = Path(f"/proc/{process.pid}/task/{process.pid}/children"), time.monotonic() + 60
        while not listed.read_text():
            assert time.monotonic() < patience, "no child came"
            time.sleep(0.01)
        time.sleep(0.3)  # until the child has set itself up
        process.send_signal(number)
        # Both pipes end only when the last process that holds them has ended, the child too.
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    told = (-number, "") if number == signal.SIGKILL else (3, "reid-smoke: interrupted\n")
    assert (process.returncode, stderr) == told
    assert stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def at_call(number: int, act: Callable[[], None]) -> Callable[..., Any]:
    """The model's forward, with something that happens at its n-th call in training."""
    real, calls = BNNeckModel.forward, []

    def forward(self: BNNeckModel, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == number:
            act()
        return real(self, *arguments)

    return forward


def test_a_crash_in_the_model_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash() -> None:
        raise RuntimeError("the model broke")

    monkeypatch.setattr(BNNeckModel, "forward", at_call(8, crash))
    ended = train(tmp_path / "run", *QUICK)
    assert ended.code == 3
    assert (ended.report.verdict, ended.report.ended) == ("UNKNOWN", "crashed")
    assert ended.report.reason == (
        "The training crashed with RuntimeError at step 8: 7 of the 10 steps that a verdict needs were seen."
    )
    assert ended.report.crash is not None
    assert ended.report.crash.message == "the model broke"
    assert Path(ended.report.crash.where.rpartition(":")[0]) == Path(__file__)
    assert "RuntimeError: the model broke" in ended.stderr
    assert ended.ledger.last(CrashFacts) is not None
    assert "fault of reid-smoke" not in ended.stderr


def test_a_crash_on_the_first_step_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash() -> None:
        raise RuntimeError("CUDA error: misaligned address")

    monkeypatch.setattr(BNNeckModel, "forward", at_call(1, crash))
    ended = train(tmp_path / "run", *QUICK)
    assert ended.code == 3
    assert ended.report.reason.startswith("The training crashed with RuntimeError at step 1")


def test_data_that_vanish_in_mid_run_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_people(tmp_path / "data", 16)
    monkeypatch.setattr(BNNeckModel, "forward", at_call(3, lambda: shutil.rmtree(data)))
    where = ["data.source=market1501", f"data.root={data}", "data.identities=null"]
    ended = train(tmp_path / "run", *QUICK, *where)
    assert ended.code == 3
    assert ended.report.verdict == "UNKNOWN"
    assert "could not be read" in ended.report.reason
    assert "No such file" in next(f.evidence for f in ended.report.findings if f.code == "RS103")


@pytest.mark.parametrize("room", [9_000, 30_000])
def test_a_full_disk_is_told_and_leaves_nothing_half_written(warm: Warm, tmp_path: Path, room: int) -> None:
    """No file may grow beyond `room` bytes; beyond it, writing fails as on a full disk."""
    process = warm.start(*command(tmp_path, *QUICK, "rule.window=[30,50]"), cwd=tmp_path, room=room)
    stdout, stderr = process.communicate()
    assert process.returncode == 3, stderr
    assert any(word in stdout for word in ("GO", "NO-GO"))
    assert "CE" in stdout
    assert "File too large" in stdout
    assert "Traceback" not in stderr
    assert "fault of reid-smoke" not in stderr
    names = set(os.listdir(tmp_path / "out"))  # noqa: PTH208
    assert names <= {"config.yaml", "facts.jsonl", "report.json", "report.html", "junit.xml", "contact-sheet.jpg"}
    if "report.html" in names:
        assert (tmp_path / "out" / "report.html").read_text().rstrip().endswith("</html>")
    if "junit.xml" in names:
        ElementTree.parse(tmp_path / "out" / "junit.xml")
    if "contact-sheet.jpg" in names:
        Image.open(tmp_path / "out" / "contact-sheet.jpg").load()
    if "report.json" in names:
        Report.model_validate_json((tmp_path / "out" / "report.json").read_bytes())
    lines = (tmp_path / "out" / "facts.jsonl").read_text().splitlines()
    assert lines
    for line in lines[:-1]:  # the last is where the room ended
        json.loads(line)
