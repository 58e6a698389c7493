"""RS115, where something else than images and labels keeps CE up on new images."""

from __future__ import annotations

from reid_smoke.checks.data_and_labels.learnt_by_heart import learnt_by_heart
from reid_smoke.facts import GraphFacts, ParameterFacts, RunFacts
from tests.checks.examples.learnt_by_heart import SICK
from tests.checks.tiny import run_tiny


def test_scores_that_cannot_be_pushed_down_are_another_fault() -> None:
    ledger, _ = run_tiny(SICK[0]())
    graphs, others = ledger.all(GraphFacts), (ledger.all(RunFacts), ledger.all(ParameterFacts))
    assert learnt_by_heart.judge(ledger.steps, graphs, *others) is not None
    with_relu = [graph.model_copy(update={"logit_path": ("Relu", *graph.logit_path)}) for graph in graphs]
    assert learnt_by_heart.judge(ledger.steps, with_relu, *others) is None
