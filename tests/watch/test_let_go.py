"""When a watch is over, nothing of the training that it saw stays alive."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
from torch import nn

import reid_smoke
from tests.checks.tiny import TinyTraining


class Short(TinyTraining):
    steps, window = 12, (4, 12)


class Sick(Short):
    """A NO-GO, so that trials are made."""

    def head_parameters(self) -> list[nn.Parameter]:
        return []


@pytest.mark.parametrize("kind", [Short, Sick])
@pytest.mark.parametrize("triage", [False, True])
def test_the_model_and_what_watched_it_go(kind: type[TinyTraining], triage: bool, tmp_path: Path) -> None:
    training = kind()
    with reid_smoke.watch(window=kind.window, out=tmp_path, triage=triage) as watch:
        training.train()
    assert watch.report is not None
    seen = [weakref.ref(thing) for thing in (training.model, training.optimizer, training.loader, watch._observer)]
    del training, watch
    gc.collect()
    assert [type(thing()).__name__ for thing in seen if thing() is not None] == []
