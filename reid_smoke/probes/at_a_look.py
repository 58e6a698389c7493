"""What is written at a look besides the graph: parameters, schedules, what was resumed, frozen copies, other heads."""

from __future__ import annotations

from collections.abc import Collection

from torch.optim import Optimizer

from reid_smoke.facts import AnyFact, ParameterFacts
from reid_smoke.probes.freshness import Frozen
from reid_smoke.probes.given_back import GivenBack
from reid_smoke.probes.groups import held_by
from reid_smoke.probes.guard import Accountable, guarded
from reid_smoke.probes.heads import Heads
from reid_smoke.probes.loading import Loading
from reid_smoke.probes.nodes import Node
from reid_smoke.probes.resume import Resumed
from reid_smoke.probes.schedules import Schedules
from reid_smoke.probes.statistics import Statistics
from reid_smoke.probes.structure import Structure
from reid_smoke.probes.writer import FactWriter

SETTLED = 30  # updates, after which an optimizer that has not stepped holds nothing that moves
OFTEN = 1000  # steps within which whatever changed is written each time


class AtALook:
    """Each probe is guarded by itself: where one fails, the others still tell.

    resumed, given_back: are told of what is loaded.
    """

    def __init__(self, writer: FactWriter, loading: Loading, faults: Accountable) -> None:
        self._writer, self._loading, self._faults = writer, loading, faults
        self.switched_off = faults.switched_off
        self.resumed = Resumed()
        self.given_back = GivenBack()
        self._schedules = Schedules()
        self._frozen = Frozen()
        self._statistics = Statistics()
        self._heads = Heads()

    def fault(self, probe: str, error: BaseException) -> None:
        self._faults.fault(probe, error)

    def write(
        self,
        root: Node,
        structure: Structure,
        step: int,
        *,
        updates: int,
        stepped: Collection[Optimizer],
        is_first: bool,
    ) -> None:
        """step: the one whose backward begins. updates: steps of optimizers before it; stepped: these optimizers."""
        self._writer.if_new(structure.graph_facts)
        self._writer.if_new(structure.mode_facts)
        written = self._writer.last(ParameterFacts)
        done = step - 1
        # A long list, which a schedule changes at each look: later on, only when the training is a tenth longer.
        due = not isinstance(written, ParameterFacts) or done < OFTEN or done > 1.1 * written.step
        if due and not structure.sharded:
            self._writer.if_new(structure.parameter_facts(step))
        if due:
            self.schedules(structure, done, updates=updates)
        if is_first:
            self._resumed_facts(structure, step)
            self._given_back_facts()
        if due:
            self._frozen_facts(structure, step, stepped if updates >= SETTLED else ())
            self._statistics_facts(structure, step)
            self._heads_facts(root, structure, step)

    @guarded
    def schedules(self, structure: Structure, done: int, *, updates: int) -> None:
        """done: steps. Where a schedule is stepped at an epoch's end, it has been by the third step of the next."""
        loading = self._loading
        facts = self._schedules.facts(
            structure.live.schedulers,
            structure.head,
            step=done,
            updates=updates,
            epochs=max(0, loading.epoch - (1 if loading.current.given >= 3 else 2)),
        )
        if facts is not None:
            self._writer.if_new(facts)

    @guarded
    def _resumed_facts(self, structure: Structure, step: int) -> None:
        self._add(self.resumed.facts(structure.head, step))

    @guarded
    def _given_back_facts(self) -> None:
        self._add(self.given_back.facts())

    @guarded
    def _frozen_facts(self, structure: Structure, step: int, stepped: Collection[Optimizer]) -> None:
        holders = list(stepped) or structure.live.optimizers
        self._add(self._frozen.facts(structure.everything, step, held_by(holders)))

    @guarded
    def _statistics_facts(self, structure: Structure, step: int) -> None:
        self._add(self._statistics.facts(structure.batch_norms, step))

    @guarded
    def _heads_facts(self, root: Node, structure: Structure, step: int) -> None:
        judged, name = structure.classification, structure.graph_facts.head
        self._add(self._heads.facts(root, judged, name, structure.beside, step))

    def _add(self, facts: AnyFact | None) -> None:
        if facts is not None:
            self._writer.ledger.add(facts)
