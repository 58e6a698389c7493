"""Each format for machines against its schema, or read back by the program that it is for."""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Callable
from math import isnan, nan
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import xmlschema
from pydantic import ValidationError
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Sarif
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

from reid_smoke.cli.app import app
from reid_smoke.errors import ReidSmokeError
from reid_smoke.facts import BaselineFacts, StepFacts, UnreadableFacts, WeightsFacts
from reid_smoke.ledger import Ledger
from reid_smoke.report.building import build_report
from reid_smoke.report.document import Report
from reid_smoke.report.formats import FORMATS
from reid_smoke.report.tensorboard import NAME, SCALARS, write_events
from reid_smoke.verdict import judge
from tests.report.ledgers import CASES, falling, trained, written
from tests.report.test_formats import from_config

JUNIT = xmlschema.XMLSchema(Path(__file__).with_name("junit.xsd"))
WORKFLOW_COMMAND = re.compile(r"::(notice|warning|error) (file=[^,:]+,line=\d+,)?title=[^,:\n]+::[^\n]+")


def everything(folder: Path) -> tuple[Report, Ledger]:
    """Known, new and ignored findings, a fault and a warning, and texts that need escapes."""
    lost = WeightsFacts(path="]]> & <w>.pth", matched=3, missing=100, unexpected=100, wrong_shape=0)
    torn = UnreadableFacts(path="\x00\ud800.jpg", reason="truncated")
    ledger = trained(
        falling,
        lost,
        torn,
        BaselineFacts(file="b.json", findings={"RS504": "fail"}),
        ignored={"RS103": "two cameras are <broken>"},
        started="2026-01-05T10:00:00+00:00",
    )
    judgement = judge(ledger, ended=True)
    return build_report(ledger, judgement.results, judgement.verdict), ledger


MADE: dict[str, Callable[[Path], tuple[Report, Ledger]]] = {
    **{name: (lambda folder, make=make: (make().report, make().ledger)) for name, make in CASES.items()},  # type: ignore[misc]
    "from a config": lambda folder: (from_config(folder).report, from_config(folder).ledger),
    "everything": everything,
}


@pytest.mark.parametrize("name", MADE)
def test_junit_keeps_to_its_schema(name: str, tmp_path: Path) -> None:
    JUNIT.validate(FORMATS["junit"](*MADE[name](tmp_path), None))


@pytest.mark.parametrize("name", MADE)
def test_sarif_keeps_to_its_schema(name: str, tmp_path: Path) -> None:
    text = FORMATS["sarif"](*MADE[name](tmp_path), tmp_path)
    Sarif.model_validate_json(text.encode("utf-8", "replace"))


@pytest.mark.parametrize("name", MADE)
def test_report_json_keeps_to_its_schema(name: str, tmp_path: Path) -> None:
    plain = json.loads(FORMATS["json"](*MADE[name](tmp_path), None))
    jsonschema.validate(plain, Report.model_json_schema(mode="serialization"), jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", MADE)
def test_every_annotation_is_a_workflow_command(name: str, tmp_path: Path) -> None:
    text = FORMATS["github"](*MADE[name](tmp_path), tmp_path)
    assert text.endswith("\n")
    assert all(WORKFLOW_COMMAND.fullmatch(line) for line in text.splitlines())


def test_the_schemas_refuse_what_is_wrong(tmp_path: Path) -> None:
    report, ledger = everything(tmp_path)
    junit, sarif = (FORMATS[format](report, ledger, None) for format in ("junit", "sarif"))
    for right, wrong in (('tests="', 'tests="x'), ("<skipped ", "<left-out "), (" classname=", " class=")):
        assert JUNIT.is_valid(junit)
        assert not JUNIT.is_valid(junit.replace(right, wrong)), wrong
    log = json.loads(sarif)
    for spoil in (_unknown_level, _unknown_key, _unknown_kind_of_suppression):
        spoilt = json.loads(sarif)
        spoil(spoilt["runs"][0]["results"])
        assert spoilt != log
        with pytest.raises(ValidationError):
            Sarif.model_validate(spoilt)


def _unknown_level(results: list[dict[str, Any]]) -> None:
    results[0]["level"] = "fatal"


def _unknown_key(results: list[dict[str, Any]]) -> None:
    results[0]["severity"] = "error"


def _unknown_kind_of_suppression(results: list[dict[str, Any]]) -> None:
    results[-1]["suppressions"][0]["kind"] = "config"


# --- TensorBoard ----------------------------------------------------------------------------------------------------


def read_back(folder: Path) -> dict[str, list[tuple[int, float, float]]]:
    """Step, value and seconds since 1970 by tag, as TensorBoard itself reads them."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(e.step, e.value, e.wall_time) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_reads_every_step_back(tmp_path: Path) -> None:
    ledger = trained(falling, started="2026-01-05T10:00:00Z")
    write_events(ledger, tmp_path)
    for _ in range(2):  # written again, it is not read twice
        assert write_events(ledger, tmp_path) == tmp_path / NAME
    found = read_back(tmp_path)
    assert set(found) == set(SCALARS) - {"amp/scale"}  # which this run has none of
    for tag, points in found.items():
        assert [step for step, _, _ in points] == [s.step for s in ledger.steps]
        assert [value for _, value, _ in points] == pytest.approx([SCALARS[tag](s) for s in ledger.steps], rel=1e-6)
    seconds = [at for _, _, at in found["ce"]]
    assert seconds[0] == pytest.approx(1767607200 + 0.124)
    assert seconds == sorted(seconds)


def test_a_ce_that_is_none_is_shown_and_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    whole = trained(falling)
    ledger = Ledger.of([s.model_copy(update={"ce": nan, "feat_norm": nan}) for s in whole.all(StepFacts)[:3]])
    write_events(ledger, tmp_path)
    found = read_back(tmp_path)
    assert [isnan(value) for _, value, _ in found["ce"]] == [True] * 3
    assert "feature/norm" not in found


def test_the_command_writes_them_and_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(trained(falling), tmp_path)
    ended = CliRunner().invoke(app, ["report", str(tmp_path), "--format", "tensorboard"])
    assert (ended.exit_code, ended.stdout.strip()) == (0, str(tmp_path / NAME))
    assert len(read_back(tmp_path)["ce"]) == 300

    imports = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("tensorboard"):
            raise ImportError(name)
        return imports(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    ended = CliRunner().invoke(app, ["report", str(tmp_path), "--format", "tensorboard"])
    assert ended.exit_code == 2
    assert "pip install 'reid-smoke[tensorboard]'" in ended.stderr


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReidSmokeError, match="could not be written"):
        write_events(trained(falling), tmp_path / "gone")
