from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reid_smoke.config.dump import dump_config
from reid_smoke.config.load import load_config
from reid_smoke.report.past import PastRun
from tests.report.ledgers import Case, healthy, overfit, result, stuck

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.fixture
def past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PastRun]:
    """`past("name", case, config)`: a run of the past in `runs/name`, its config from `configs/`, or none."""
    monkeypatch.chdir(tmp_path)

    def make(name: str, case: Case, config: str | None = None) -> PastRun:
        folder = Path("runs") / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if config is not None:
            (folder / "config.yaml").write_text(dump_config(load_config(CONFIGS / config)))
        return PastRun(folder, case.report, case.ledger, 1)

    return make


@pytest.fixture
def mended(past: Callable[..., PastRun]) -> list[PastRun]:
    """A training before its mend and after it, when one thing was left and one came up."""
    before, after = stuck(), healthy()
    before.results.append(result("RS701", "data-starved", "x", "warn", status="pass"))
    after.results.extend(
        [
            result("RS405", "head-lr-too-small", "x", "fail", status="pass"),
            result("RS210", "ce-at-chance", "x", "fail", status="pass"),
            result("RS501", "norms-in-eval", "x", "warn", "20 of 21 batch norms"),
            result("RS701", "data-starved", "x", "warn", "68% of the time"),
        ]
    )
    return [past("stuck", before, "stuck.yaml"), past("demo", after, "demo.yaml")]


@pytest.fixture
def unlike(past: Callable[..., PastRun], mended: list[PastRun]) -> list[PastRun]:
    """Runs of three kinds, with another chance each, one without a config."""
    return [*mended, past("memorised", overfit())]
