"""Every convention of ReID code is seen through: the head, what feeds it, the classes, and CE to the fourth digit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

import reid_smoke
from reid_smoke.facts import GraphFacts, ProbeFault
from tests.checks.tiny import Crops
from tests.watch.styles import IDENTITIES, STYLES, Style

STEPS = 45
WINDOW = (30, 45)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.__name__)
def test_it_is_seen_through(style: type[Style], tmp_path: Path) -> None:
    torch.manual_seed(0)
    training = style()
    training.model.train()
    plain: list[float] = []
    with reid_smoke.watch(window=WINDOW, out=tmp_path) as watch:
        while len(plain) < STEPS:
            for images, labels in DataLoader(Crops(IDENTITIES, noise=0.7), 16, shuffle=True, drop_last=True):
                plain.append(F.cross_entropy(training.step(images, labels), labels).item())
                if len(plain) == STEPS:
                    break
    graph = watch.ledger.last(GraphFacts)
    assert graph is not None
    assert not watch.ledger.all(ProbeFault)
    assert (graph.head, graph.fed_by, graph.neck) == (style.head, style.fed_by, style.neck), graph
    assert graph.num_classes == IDENTITIES
    assert [s.ce for s in watch.ledger.steps] == pytest.approx(plain, abs=1e-4, rel=1e-4)
    report = watch.report
    assert report is not None
    assert report.verdict == "GO", (report.reason, [(f.code, f.evidence) for f in report.findings])
    assert [f.code for f in report.findings] == []
