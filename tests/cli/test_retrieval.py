"""The retrieval figure of a run: beside the verdict, whatever happens to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reid_smoke.cli.app import app
from reid_smoke.retrieval.probe import RetrievalProbe

TINY = [
    "device=cpu", "data.identities=6", "data.height=32", "data.width=16", "data.batch_size=8",
    "model.backbone=shufflenet_v2_x0_5", "rule.window=[6,12]", "retrieval={}",
]  # fmt: skip


def test_a_figure_that_cannot_be_measured_costs_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    def fails_or_is_interrupted(*arguments: object) -> None:
        calls.append(arguments)
        raise RuntimeError("out of memory") if len(calls) == 1 else KeyboardInterrupt

    monkeypatch.setattr(RetrievalProbe, "of_model", fails_or_is_interrupted)
    (tmp_path / "config.yaml").write_text("name: tiny\n")
    sets = [word for each in TINY for word in ("--set", each)]
    ended = CliRunner().invoke(app, ["run", str(tmp_path / "config.yaml"), *sets, "--out", str(tmp_path / "out")])
    assert ended.exit_code in (0, 1), ended.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert len(calls) == 2
    assert report["verdict"] in ("GO", "NO-GO")
    assert report["notes"] == [
        "The probe retrieval failed at step 0 (RuntimeError: out of memory): what it measures is missing."
    ]
    assert report["retrieval"]["before"] is report["retrieval"]["after"] is None
    assert report["retrieval"]["colour"]["mean_ap"] > report["retrieval"]["chance"]["mean_ap"]
