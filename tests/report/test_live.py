from __future__ import annotations

import io
from typing import Any

import pytest

from reid_smoke.facts import DatasetFacts, RunFacts
from reid_smoke.ledger import Ledger
from reid_smoke.report.live import LiveDisplay
from tests.report.ledgers import dataset_facts, end_facts, not_a_number, result, run_facts, step_facts, stuck


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(file: io.StringIO, *, steps: int = 300, end: bool = True, changes: dict[str, Any] | None = None) -> str:
    ledger = Ledger()
    with LiveDisplay(file) as display:
        ledger.subscribe(display)
        ledger.add(run_facts())
        ledger.add(dataset_facts())
        for step in range(1, steps + 1):
            ledger.add(step_facts(step, 5.9, **(changes or {})))
        if end:
            ledger.add(end_facts(steps))
    return file.getvalue()


def test_a_log_gets_a_line_every_100_steps_and_no_bar() -> None:
    assert shown(io.StringIO(), steps=250).splitlines()[1:] == [
        f"step {step}/300  CE 5.900 (chance 5.99, bar 5.60)  top-1 0%  head |w| 1.53  dw/w 3.1e-3  grad 0.420  "
        "Feat(BN) 8.00  lr 1.0e-2 / 1.0e-5"
        for step in (100, 200)
    ]


def test_a_log_says_early_how_long_it_will_take() -> None:
    assert shown(io.StringIO()).splitlines()[0] == "step 10/300  0.12 s a step: about 0:36 to step 300"
    hours = shown(io.StringIO(), steps=10, changes={"compute_s": 30.0}).splitlines()[0]
    assert hours == "step 10/300  30 s a step: about 2:25:01 to step 300"
    assert "a step" not in shown(Terminal(), steps=20)  # its bar says so
    assert "a step" not in shown(io.StringIO(), steps=20, changes={"compute_s": float("nan")})


def test_amp_is_named_only_where_there_is_one() -> None:
    assert shown(io.StringIO(), changes={"amp_scale": 65536.0}).splitlines()[1].endswith("AMP scale 65536")


def test_what_was_not_measured_is_a_dash() -> None:
    line = shown(io.StringIO(), changes={"head_norm": float("nan"), "lr_head": None}).splitlines()[1]
    assert "head |w| -  " in line
    assert "lr - / 1.0e-5" in line


def test_no_number_is_shown_as_such() -> None:
    out, ledger = io.StringIO(), Ledger()
    ledger.subscribe(LiveDisplay(out))
    for step in range(81, 101):
        ledger.add(step_facts(step, float("nan"), head_grad=float("inf")))
    assert out.getvalue().startswith("step 100  CE nan  top-1 0%")
    assert "grad inf" in out.getvalue()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (100, "20/1863  step 20/300  CE 5.900 (bar 5.60)  top-1 0%  8.1 it/s  0:35 left"),
        (80, "20/1863  step 20/300  CE 5.900 (bar 5.60)  top-1 0%  0:35 left"),
        (50, "step 20/300  CE 5.900 (bar 5.60)  0:35 left"),
        (40, "step 20/300  CE 5.900 (bar 5.60)"),
    ],
)
def test_the_bar_shows_where_the_epoch_and_the_plan_stand(
    monkeypatch: pytest.MonkeyPatch, columns: int, said: str
) -> None:
    monkeypatch.setattr("tqdm.std.tqdm.refresh", lambda self, **_: None)
    monkeypatch.setenv("COLUMNS", str(columns))
    out, ledger = Terminal(), Ledger()
    with LiveDisplay(out) as display:
        ledger.subscribe(display)
        ledger.add(run_facts())
        ledger.add(dataset_facts())
        for step in range(1, 21):  # a bunch, as a GPU gives them
            ledger.add(step_facts(step, 5.9))
        assert display._bar is not None
        assert display._bar.n == 20
        assert display._bar.desc == said
        assert ("{bar" in display._bar.bar_format) == (columns >= 60)


def test_the_terminal_is_left_clean() -> None:
    last = shown(Terminal(), end=False).split("\n")[-1]
    assert last.split("\r")[-1].strip() == ""


def test_a_fatal_finding_is_told_at_once() -> None:
    out = io.StringIO()
    display = LiveDisplay(out)
    display.fatal(not_a_number().results[0])
    display.fatal(result("RS101", "label-out-of-range", "A label", "fatal", "3 labels ≥ 400, the first of 行.jpg"))
    assert out.getvalue().splitlines() == [
        "step 83  RS207 ce-not-finite: CE 11.5 at step 82, NaN at step 83; head gradient norm 3.1e4 at step 82. "
        "Stopping here.",
        "RS101 label-out-of-range: 3 labels ≥ 400, the first of 行.jpg. Stopping here.",
    ]


def test_a_narrow_encoding_costs_no_line() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    LiveDisplay(stream).fatal(result("RS101", "label", "A label", "fatal", "3 labels ≥ 400"))


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_stream_that_breaks_never_stops_a_training(kind: type[io.StringIO]) -> None:
    out, ledger = kind(), Ledger()
    ledger.subscribe(LiveDisplay(out))
    ledger.add(run_facts())
    ledger.add(step_facts(1, 5.9))
    out.close()
    for step in range(2, 201):
        ledger.add(step_facts(step, 5.9))
    ledger.add(end_facts(200))


def test_overfit_guesses_among_its_own_identities() -> None:
    out, ledger = io.StringIO(), Ledger()
    ledger.subscribe(LiveDisplay(out))
    base = stuck().ledger
    run, data = base.first(RunFacts), base.first(DatasetFacts)
    assert run is not None
    assert data is not None
    ledger.add(run.model_copy(update={"way_in": "overfit", "max_ce": 1.0}))
    ledger.add(data.model_copy(update={"identities": 190}))
    ledger.add(step_facts(100, 5.0))
    assert "(chance 5.25, bar 1.00)" in out.getvalue()
