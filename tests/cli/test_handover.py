"""`reid-smoke run --continue`: the hand-over after a GO, on small trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from reid_smoke.build import losses
from reid_smoke.cli.app import app
from reid_smoke.facts import CrashFacts, HandoverFacts, HandoverPlanFacts, ProbeFault
from reid_smoke.train.learner import Learner
from tests.cli.test_image_text import TEXT
from tests.cli.test_run import LEARNS, QUICK, Ended, sets, write_people

# Under a bar this high CE is from the first step on, and a GO takes ten steps.
GOES = [*QUICK, "rule.max_ce=9"]
PAIRS = [*GOES, *TEXT]
SGD = ["optimizer.name=sgd", "optimizer.lr=1e-4", "optimizer.groups=[{match: ^bn_neck.classifier, lr: 0.04}]"]


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def go_on(folder: Path, *overrides: str) -> Ended:
    config = folder.with_suffix(".yaml")
    config.write_text("name: tiny\n")
    result = CliRunner().invoke(app, ["run", str(config), "--continue", *sets(*overrides), "--out", str(folder)])
    assert isinstance(result.exception, SystemExit | None), result.output
    return Ended(result.exit_code, result.stdout, result.stderr, folder)


def outcomes(ended: Ended) -> list[tuple[float, str]]:
    return [(stage["weight"], stage["outcome"]) for stage in ended.plain["handover"]["stages"]]


def test_two_towers_hand_over_and_a_wrong_weight_is_held(tmp_path: Path) -> None:
    weights = ["handover.weights=[0.01,50]", "handover.steps=22"]
    ended = go_on(tmp_path / "run", *LEARNS, *TEXT, "rule.window=[10,18]", *SGD, *weights)
    assert (ended.code, ended.plain["verdict"], ended.plain["findings"]) == (0, "GO", [])
    assert outcomes(ended) == [(0.01, "safe"), (50.0, "held"), (0.01, "back")]
    found = ended.plain["handover"]
    assert (found["largest_safe_weight"], found["held_weight"], found["ended"]) == (0.01, 50.0, "finished")
    safe, over, back = found["stages"]
    assert (safe["steps"], over["steps"], back["steps"]) == ([19, 40], [41, 60], [61, 62])
    assert safe["ce"] < found["limit_ce"] < over["ce"]
    assert found["limit_ce"] == pytest.approx(ended.report.rule.max_ce + 0.1)
    for stage in found["stages"]:
        assert -1 <= stage["cosine"] <= 1
        assert stage["norm_ratio"] > 0
        assert stage["sdm"] > 0
        assert stage["rows_without_positive"] == 0
    assert ended.report.global_step == 18  # the verdict is the warm-up's
    assert ended.report.notes == ()
    # A line for each weight wherever the report is read, and the same from the facts alone.
    summary = CliRunner().invoke(app, ["report", str(ended.folder), "--format", "summary"])
    assert summary.exit_code == 0
    for text in (ended.stdout, summary.stdout, (ended.folder / "report.html").read_text()):
        said = " ".join(text.split())
        assert "The largest weight that was safe is 0.01. At 50 CE went over the limit, to" in said
        assert "41 to 60" in said
    assert "SDM weight 50" in ended.stderr


def test_the_rest_of_the_epoch_at_weights_that_are_all_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real, learn = losses.sdm_loss, Learner.__call__
    monkeypatch.setattr(losses, "sdm_loss", lambda *arguments: calls.append(step[0]) or real(*arguments))
    step = [0]

    def counting(learner: Learner, number: int, *batch: Any) -> None:
        step[0] = number
        learn(learner, number, *batch)

    monkeypatch.setattr(Learner, "__call__", counting)
    ended = go_on(tmp_path / "run", *PAIRS, "data.identities=25", "handover.weights=[0.1,0.3]")
    assert ended.plain["steps_per_epoch"] == 50
    assert outcomes(ended) == [(0.1, "safe"), (0.3, "safe")]
    assert ended.plain["handover"]["stages"][-1]["steps"][1] == 70  # what is left of the epoch would be too short
    assert set(calls) == set(range(11, 71))  # never in the warm-up
    plan, facts = ended.ledger.all(HandoverPlanFacts), ended.ledger.all(HandoverFacts)
    assert [fact.ends for fact in plan] == [(40, 70)]
    assert [fact.step for fact in facts] == [20, 30, 40, 50, 60, 70]
    assert not ended.ledger.all(ProbeFault)


def test_people_of_one_image_are_a_finding_of_the_sampler(tmp_path: Path) -> None:
    root = write_people(tmp_path / "people", 20)
    for path in sorted((root / "bounding_box_train").iterdir()):
        if int(path.name[:4]) < 10 and path != next(iter(sorted(path.parent.glob(f"{path.name[:4]}_*")))):
            path.unlink()
    pk = ["data.source=market1501", f"data.root={root}", "data.identities=null", "data.sampler=pk", "data.instances=2"]
    ended = go_on(tmp_path / "run", *GOES, *pk, "handover.weights=[0.1]")
    assert (ended.code, ended.plain["verdict"]) == (0, "GO")
    (finding,) = ended.plain["findings"]
    assert (finding["code"], finding["severity"]) == ("RS130", "warn")
    (stage,) = ended.plain["handover"]["stages"]
    assert 0.15 < stage["rows_without_positive"] < 0.5
    assert stage["rows_with_one_positive"] == pytest.approx(1 - stage["rows_without_positive"])
    assert ended.plain["handover"]["sides"] == "two images of an identity"


def test_a_crash_in_the_hand_over_leaves_the_verdict_and_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def breaks(*arguments: Any) -> torch.Tensor:
        calls.append(arguments)
        if len(calls) > 25:
            raise RuntimeError("their temperature is 0")
        return real(*arguments)

    real = losses.sdm_loss
    monkeypatch.setattr(losses, "sdm_loss", breaks)
    ended = go_on(tmp_path / "run", *PAIRS, "handover.weights=[0.1]")
    assert (ended.code, ended.plain["verdict"], ended.plain["ended"]) == (3, "GO", "finished")
    found = ended.plain["handover"]
    assert (found["ended"], found["largest_safe_weight"]) == ("crashed", None)
    assert outcomes(ended) == [(0.1, "open")]
    assert [crash.message for crash in ended.ledger.all(CrashFacts)] == ["their temperature is 0"]
    assert "their temperature is 0" in ended.stderr
    assert CliRunner().invoke(app, ["report", str(ended.folder)]).exit_code == 3


def test_what_is_no_go_is_not_handed_over(tmp_path: Path) -> None:
    ended = go_on(tmp_path / "run", *QUICK, *TEXT, "optimizer.groups=[{match: ^bn_neck.classifier, lr: 0}]")
    assert (ended.code, ended.plain["verdict"], ended.plain["handover"]) == (1, "NO-GO", None)
    assert not ended.ledger.all(HandoverPlanFacts)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "set data.sampler to pk with data.instances of 2 or more, or model.text"),
        (["data.sampler=pk", "data.instances=1"], "data.instances of 2 or more"),
        (
            [*TEXT, "loss.sdm_weight=0.2"],
            "loss.sdm_weight is 0.2, and --continue hands over from a warm-up without SDM",
        ),
        (
            ["data.sampler=pk", "model={target: torchvision.models:resnet18, kwargs: {num_classes: 20}}"],
            "model.bn_feature",
        ),
        ([*TEXT, "handover.weights=[0.3,0.1]"], "must rise"),
        ([*TEXT, "handover.weights=[]"], "handover.weights"),
        ([*TEXT, "handover.weights=[0,0.1]"], "handover.weights"),
    ],
)
def test_what_cannot_be_handed_over_is_said_before_anything_is_written(
    tmp_path: Path, overrides: list[str], message: str
) -> None:
    ended = go_on(tmp_path / "run", *QUICK, *overrides)
    assert ended.code == 2
    assert message in " ".join(ended.stderr.split())
    assert not ended.folder.exists()
