"""Every check fires on its sick example, as the first cause, and no check says anything about the healthy one.

The examples lie in `examples/`, a file each, named after the check's slug.
"""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from reid_smoke.checks.catalogue import catalogue, rank
from reid_smoke.facts import ProbeFault
from tests.checks import examples
from tests.checks.tiny import TinyTraining, run_tiny

MODULES = {
    module.name.replace("_", "-"): importlib.import_module(f"{examples.__name__}.{module.name}")
    for module in pkgutil.iter_modules(examples.__path__)
}
CODES = {check.slug: check.code for check in catalogue()}
SICK = [pytest.param(CODES[slug], c, id=f"{slug}-{c.__name__}") for slug, m in MODULES.items() for c in m.SICK]
HEALTHY = [pytest.param(c, id=f"{slug}-{c.__name__}") for slug, m in MODULES.items() for c in m.HEALTHY]


def test_every_check_has_its_two_examples() -> None:
    assert sorted(MODULES) == sorted(CODES)
    assert all(module.SICK and module.HEALTHY for module in MODULES.values())


@pytest.mark.parametrize(("code", "example"), SICK)
def test_the_fault_is_named_first(code: str, example: type[TinyTraining]) -> None:
    ledger, judgement = run_tiny(example())
    found = rank(judgement.results)
    assert [r.check.code for r in found][:1] == [code], [(r.check.code, r.finding) for r in found]
    expected = "GO" if found[0].severity == "warn" else "NO-GO"
    assert judgement.verdict.word == expected
    assert not ledger.all(ProbeFault)


@pytest.mark.parametrize("example", HEALTHY)
def test_the_healthy_one_is_left_alone(example: type[TinyTraining]) -> None:
    ledger, judgement = run_tiny(example())
    assert [(r.check.code, r.finding) for r in rank(judgement.results)] == []
    assert judgement.verdict.word == "GO", judgement.verdict.reason
    assert not [r for r in judgement.results if r.status == "error"]
    assert not ledger.all(ProbeFault)
