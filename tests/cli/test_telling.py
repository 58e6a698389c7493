"""--quiet and --json: who writes what on which stream."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from reid_smoke.cli.app import app
from tests.cli.test_run import QUICK, sets
from tests.conftest import ReidSmoke
from tests.warm import Warm

NOISY = """
import os
import torch

print("noise at import")

def build(num_classes):
    os.write(1, b"noise of C\\n")
    os.system("echo noise of a child")
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, num_classes))
"""


def test_json_has_stdout_to_itself(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(NOISY)
    (tmp_path / "tiny.yaml").write_text("name: tiny\n")
    sick = ["model.target=noisy:build", "optimizer.lr=1e-9", "optimizer.groups=[]"]
    ended = warm.run("reid_smoke", "run", "tiny.yaml", "--json", *sets(*QUICK, *sick), "--out", "out", cwd=tmp_path)
    report = json.loads(ended.stdout)
    assert ended.stdout == (tmp_path / "out" / "report.json").read_text()
    assert (ended.returncode, report["verdict"]) == (1, "NO-GO")
    for noise in ("noise at import", "noise of C", "noise of a child"):
        assert noise in ended.stderr
    assert "--json" not in report["command"]


def test_json_of_what_cannot_begin_is_nothing(reid_smoke: ReidSmoke) -> None:
    ended = reid_smoke("overfit", "nowhere.yaml", "--json", "-q")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("reid-smoke: nowhere.yaml: no such file.")


def test_quiet_says_the_verdict_and_the_first_cause(tmp_path: Path) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text("name: tiny\n")
    sick = sets(*QUICK, "optimizer.lr=1e-9", "optimizer.groups=[]")
    ended = CliRunner().invoke(app, ["run", str(config), "--quiet", *sick, "--out", str(tmp_path / "out")])
    report = json.loads((tmp_path / "out" / "report.json").read_bytes())
    cause = report["findings"][0]
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [
        f"NO-GO  {report['reason']}",
        f"{cause['code']} {cause['slug']}  {cause['evidence']}",
    ]
