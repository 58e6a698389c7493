from __future__ import annotations

import json
from collections.abc import Callable
from math import log
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_smoke.config.overrides import apply_override, read_override
from reid_smoke.errors import UsageError
from reid_smoke.report.comparing.differences import flat
from reid_smoke.report.comparing.document import compare, curve_of, reached_at
from reid_smoke.report.json import as_json
from reid_smoke.report.past import PastRun
from tests.report.ledgers import case, healthy, quiet, result, stuck


def test_what_differs_in_the_configs_is_named_by_the_keys_that_set_takes(mended: list[PastRun]) -> None:
    comparison = compare(mended)
    found = {each.key: each for each in comparison.config}
    assert found["optimizer.lr"].values == (1.04e-3, 1e-5)
    assert found["optimizer.groups.0.lr"].values == (None, 1e-2)
    assert found["optimizer.groups.0.lr"].given == (False, True)
    assert "optimizer.groups" not in found  # its items say it
    assert "optimizer.weight_decay" not in found
    before = json.loads(as_json(comparison))  # numbers and nulls only: it is strict JSON
    assert [run["verdict"] for run in before["runs"]] == ["NO-GO", "GO"]
    plain: Any = {}
    for key in ("schedule.name", "schedule.warmup", "optimizer.lr"):
        plain = apply_override(plain, read_override(f"{key}={found[key].values[1]}"))
    assert plain == {"schedule": {"name": "constant", "warmup": 0}, "optimizer": {"lr": 1e-5}}


def test_findings_come_and_go(past: Callable[..., PastRun], mended: list[PastRun]) -> None:
    # Nobody looked there, so that nothing can have gone.
    unknown = compare([mended[0], past("nobody looked", healthy())]).findings
    assert [row.states[1] for row in unknown] == ["unknown"] * 3
    looked = [
        result("RS405", "head-lr-too-small", "x", "fail", status="pass"),
        result("RS210", "ce-at-chance", "x", "fail", status="skipped"),
        result("RS501", "norms-in-eval", "x", "warn", "20 of 21"),
        result("RS601", "ranks-apart", "x", "fail", "by 3"),
        *quiet(3),
    ]
    before = stuck()
    before.results.append(result("RS601", "ranks-apart", "x", "fail", status="pass"))
    after = case("NO-GO", "x", lambda step: 3.0, 300, results=looked)
    runs = [past("before", before), past("after", after)]
    rows = [(row.change, row.slug, row.states) for row in compare(runs).findings]
    assert rows == [
        ("went", "head-lr-too-small", ("first cause", "pass")),
        ("came", "ranks-apart", ("pass", "first cause")),
        ("stays", "norms-in-eval", ("seen too", "seen too")),
        ("other", "ce-at-chance", ("follows", "skipped")),
    ]
    assert [row.change for row in compare(runs[::-1]).findings] == ["went", "came", "stays", "other"]


def test_where_chance_differs_curves_are_taken_below_it(unlike: list[PastRun]) -> None:
    comparison = compare(unlike)
    assert comparison.below_chance
    marks = [(mark.name, round(mark.height, 2)) for mark in comparison.marks]
    assert marks == [("chance", 0.0), ("bar of A, B", -0.39), ("bar of C", round(1 - log(190), 2))]
    last = comparison.runs[2]
    curve = curve_of(last, below_chance=True)
    assert curve[-1][1] == pytest.approx(fmean(ce for _, ce in last.ce.curve[-20:] if ce is not None) - log(190))
    assert [run.has_config for run in comparison.runs] == [True, True, False]
    assert {each.key for each in comparison.config} == {each.key for each in compare(unlike[:2]).config}


CE = st.one_of(st.floats(0, 8), st.none())


@given(st.lists(CE, max_size=60), st.floats(1, 7))
def test_the_bar_is_reached_where_twenty_steps_together_are_under_it(curve: list[float | None], bar: float) -> None:
    points = list(enumerate(curve, start=1))
    slow = None
    for end in range(20, len(curve) + 1):
        stretch = curve[end - 20 : end]
        if None not in stretch and fmean(ce for ce in stretch if ce is not None) <= bar:
            slow = end
            break
    assert reached_at(points, bar) == slow
    assert reached_at(points, None) is None


@given(st.recursive(st.one_of(st.integers(), st.text("abc", max_size=3)), lambda inner: st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=4), st.one_of(inner, st.lists(inner, max_size=3)), min_size=1, max_size=4,
)))  # fmt: skip
def test_flat_keys_lead_to_their_values(plain: Any) -> None:
    for key, value in flat(plain):
        place = plain
        for part in key.split(".") if key else ():
            place = place[int(part)] if isinstance(place, list) else place[part]
        assert place == value


def test_what_no_json_can_say_is_told_as_text(mended: list[PastRun]) -> None:
    config = mended[1].folder / "config.yaml"
    text = config.read_text().replace("seed: 0", "seed: .nan").replace("kwargs: {}", "kwargs: {a: !!python/x 3}")
    config.write_text(text)
    found = {each.key: each.values[1] for each in compare(mended).config}
    assert (found["seed"], found["model.kwargs.a"]) == ("nan", "<unreadable>")
    assert json.loads(as_json(compare(mended)))
    config.write_text("- no\n- config\n")
    assert [run.has_config for run in compare(mended).runs] == [True, False]


def test_too_few_too_many_and_twice_the_same(mended: list[PastRun]) -> None:
    with pytest.raises(UsageError, match="2 to 8 run folders, and here are 1"):
        compare(mended[:1])
    with pytest.raises(UsageError, match="and here are 9"):
        compare(mended[:1] * 9)
    with pytest.raises(UsageError, match="stuck: named twice"):
        compare([mended[0], PastRun(Path("runs/../runs/stuck"), mended[0].report, mended[0].ledger, 1)])
