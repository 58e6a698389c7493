"""A re-run is seen as every training is: plain CE is read from the graph behind the loss, whatever the loss is."""

from __future__ import annotations

from collections.abc import Callable

import torch

from reid_smoke.facts import AnyFact, GraphFacts, StepFacts
from reid_smoke.ledger import Ledger
from reid_smoke.probes.observer import Observer
from reid_smoke.triage.trying import Played
from reid_smoke.watch.hooks import observing


def play_observed(train: Callable[[], object], device: torch.device, tell: Callable[[int, float], None]) -> Played:
    """Call `train`, and return plain CE of each of its steps. A crash is an outcome, too.

    The process's random state is left as it was. `tell` gets each step, from 1, and its CE.
    """
    ledger = Ledger()

    def listen(fact: AnyFact) -> None:
        if isinstance(fact, StepFacts):
            tell(fact.step, fact.ce)

    ledger.subscribe(listen)
    observer = Observer(ledger)
    error = ""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), observing(observer):
        try:
            train()
        except Exception as failure:  # theirs or the change's: a row of the table, not the end of it
            lines = str(failure).strip().splitlines()
            error = f"{type(failure).__name__}: {lines[0]}" if lines else type(failure).__name__
    observer.settle()
    observer.fetch()
    graph = ledger.last(GraphFacts)
    return Played(tuple(step.ce for step in ledger.steps), graph.num_classes if graph is not None else 0, error)
