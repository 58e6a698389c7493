"""The page of a training of 100,000 steps: small enough to be sent around, and nothing that happened is lost."""

from __future__ import annotations

import random
import re

import pytest

from reid_smoke.ledger import Ledger
from reid_smoke.report.building import build_report
from reid_smoke.report.html import to_html
from reid_smoke.verdict import judge
from tests.report.ledgers import dataset_facts, run_facts, step_facts

STEPS, SPIKE = 100_000, 51_234
MOST_BYTES = 5_000_000


@pytest.fixture(scope="module")
def page() -> str:
    noise, step = random.Random(3), step_facts(1, 5.0)
    ledger = Ledger.of([run_facts(), dataset_facts()])
    for n in range(1, STEPS + 1):
        ce = 5.0 - 3e-5 * n + noise.gauss(0, 0.1) + 20.0 * (n == SPIKE)
        gradient = abs(noise.gauss(1.0, 0.2)) + 1e-3 + 5000.0 * (n == SPIKE)
        ledger.add(step.model_copy(update={"step": n, "step_in_epoch": n, "ce": ce, "head_grad": gradient}))
    judgement = judge(ledger, ended=True)
    return to_html(build_report(ledger, judgement.results, judgement.verdict), ledger, None)


def curve(page: str, title: str) -> list[tuple[float, float]]:
    """The first curve of the plot: places in pixels, y downwards."""
    svg = next(svg for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL) if f">{title}<" in svg)
    path = re.search(r'class="curve one"><path d="([^"]*)"', svg)
    assert path is not None
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", path[1])]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_it_is_under_5_mb(page: str) -> None:
    assert len(page.encode()) < MOST_BYTES


@pytest.mark.parametrize("title", ["CE, and the identities still in play", "Gradient of the head"])
def test_a_spike_of_one_step_is_still_in_the_plot(page: str, title: str) -> None:
    points = curve(page, title)
    assert 500 < len(points) < 2000
    (at, top), *others = sorted(points, key=lambda point: point[1])
    width = points[-1][0] - points[0][0]
    assert (at - points[0][0]) / width == pytest.approx(SPIKE / STEPS, abs=0.001)
    assert others[0][1] - top > 100  # pixels above everything else
