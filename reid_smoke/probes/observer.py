"""The observer: told of what happens in a training, in the order in which it happens, it writes the facts.

It does not know whose loop it watches. Hooks (`watch/hooks.py`) call it at PyTorch's own doors: a batch is fetched,
backward begins and ends, gradients are clipped, an optimizer steps. Figures stay on the device and travel to the host
without waiting for it; on the CPU, where reading is free, at once.

A step that was captured as a CUDA graph is told of once, at its capture. The figures are then part of the graph: each
replay computes them anew, and is a step.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from reid_smoke.facts import AnewFacts
from reid_smoke.ledger import Ledger
from reid_smoke.probes import measure
from reid_smoke.probes.arrivals import Arrivals
from reid_smoke.probes.at_a_look import AtALook
from reid_smoke.probes.at_backward import AtBackward, Features, Taken
from reid_smoke.probes.batch import Batch
from reid_smoke.probes.beside import Beside
from reid_smoke.probes.checkpoint import not_arrived
from reid_smoke.probes.cross_entropy import labels_of, read_batch
from reid_smoke.probes.density import DENSE_UNTIL, is_measured
from reid_smoke.probes.groups import as_float
from reid_smoke.probes.guard import NoGradients, guarded, not_compiled
from reid_smoke.probes.labels import LabelsBeforeLoss
from reid_smoke.probes.loading import Loading
from reid_smoke.probes.nodes import Node, root_of, scalar_of
from reid_smoke.probes.resume import rates_of
from reid_smoke.probes.rivals import Rivals, loss_of
from reid_smoke.probes.sight import Reached, Sight
from reid_smoke.probes.structure import Structure, read_unclassified
from reid_smoke.probes.summands import without_gradient
from reid_smoke.probes.tally import Counted, Tally
from reid_smoke.probes.told import Told, told
from reid_smoke.probes.under_way import Recorded, Step
from reid_smoke.probes.updates import Updates
from reid_smoke.probes.writer import FactWriter

WAITED_FOR = 5  # first steps whose figures are there at once; later ones arrive when they do
COMPARED_UNTIL, COMPARED_EACH = 20, 5  # step, and every so many after it, whose features are compared with each other
IMAGES_AT = (2, 3, 4, 5)  # epochs whose first images are measured, too: are they what they were?
FRUITLESS = 3  # backwards without any classification, after which it is written down what they reach
STEPS_WITHOUT_BACKWARD = (3, 10, 100)  # where a loop that steps without any backward is written down
MOST_LOADS = 16  # checkpoints that are told of
MOST_BETWEEN = 16  # batches in a row of which nothing but the labels is looked at


class Observer(Told):
    """Writes the facts of one training to `ledger`."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        started: float | None = None,
        head: re.Pattern[str] | None = None,
        leaves_out: bool = False,
    ) -> None:
        """started: `time.perf_counter()` at the process's start, for the start-up time.
        head: which weight is the head, where a loss has several.
        leaves_out: some steps, see density.py, where a training waits for what measures it.
        """
        super().__init__(ledger)
        self._writer = FactWriter(ledger)
        self.dense_until = DENSE_UNTIL
        self._leaves_out = leaves_out
        self._measures_all = True
        self.closes_at: int | None = None  # the window's end: never left out, since the training may end there
        self._between: list[Tensor] = []  # labels of the steps since one was measured, each batch's
        self.device: str | None = None  # of the logits, torch's name of it
        self.on_loss: Callable[[Tensor, Tensor, int], None] | None = None  # is told logits, labels and ignore_index
        self._started = started if started is not None else time.perf_counter()
        self._first_batch: float | None = None
        self._sight = Sight(head)
        self._updates = Updates()
        self._weights = self._updates.weights
        self._open: Step | None = None
        self._place: tuple[int, int] | None = None  # of the last step: its epoch, and the step in it
        self._captured: WeakKeyDictionary[object, Recorded] = WeakKeyDictionary()  # by CUDA graph
        self._beside = Beside()
        self._is_eager = True  # what is asked for is computed now, and not recorded by a CUDA graph
        self._before_capture: Counter[Counted] = Counter()  # the counts, as the last one began to record
        self._before = ""  # events since the last step closed
        self._loading = Loading(ledger)
        self._arrivals = Arrivals(self._writer, self._skipped)
        self.labels_before = LabelsBeforeLoss()
        self._at_a_look = AtALook(self._writer, self._loading, self)
        self._rivals = Rivals(head)
        self._scale: Tensor | None = None
        self._scaler_stepped = False
        self._asks_only = True  # for gradients, by torch.autograd.grad, and never goes backward
        self._adds = True  # what goes backward now does, to the gradients that are there
        self.tally = Tally()
        self._loads = 0

    @property
    def structure(self) -> Structure | None:
        """What the last walk found; None before the first classification."""
        return self._sight.structure

    @property
    def batch_size(self) -> int | None:
        """Images a batch: as the loader has it, or else as the last step had; None where neither is known."""
        promised = self._loading.current.batch_size
        return promised if promised is not None or not self.ledger.steps else self.ledger.steps[-1].batch

    @told
    def loaded(self, module: nn.Module, state_dict: object, result: Any, where: str) -> None:
        """A checkpoint was loaded with strict=False."""
        facts = not_arrived(module, state_dict, result, where) if self._loads < MOST_LOADS else None
        if facts is not None:
            self._loads += 1
            self.ledger.add(facts)

    @told
    def file_read(self) -> None:
        self._at_a_look.given_back.file_read()

    @told
    def model_loads(self, module: nn.Module, state_dict: object, where: str) -> None:
        self._at_a_look.given_back.model_loads(module, state_dict, where)

    @told
    def model_loaded(self, module: nn.Module, state_dict: object) -> None:
        self._at_a_look.resumed.model_loaded(module, state_dict)

    @told
    def rates_before_load(self, optimizer: Optimizer) -> list[float | None]:
        return rates_of(optimizer)

    @told
    def optimizer_loaded(self, optimizer: Optimizer, rates_before: list[float | None] | None, where: str) -> None:
        self._at_a_look.resumed.optimizer_loaded(optimizer, rates_before or [], where)

    # --- batches ---

    @told
    def batch_requested(self, iterator: object) -> None:
        if self._open is not None and self._open.compute_s is None:
            self._open.compute_s = time.perf_counter() - self._open.arrived

    @told
    def batch_fetched(self, iterator: object, seconds: float, batch: object) -> None:
        self._updates.forget()
        self._loading.fetched(iterator, seconds)
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch ships no type for it
            self.labels_before.fetched(batch)

    @told
    def epoch_ended(self, iterator: object) -> None:
        if self._loading.exhausted(iterator):
            self._arrivals.labels_due = self.step

    # --- the loss ---

    @told
    def labels_go_in(self, logits: object, labels: object, ignore_index: object) -> None:
        """A classification loss is about to be computed."""
        if isinstance(logits, Tensor) and isinstance(labels, Tensor) and isinstance(ignore_index, int):
            self.tally.cross_entropy(logits)
            if labels.is_cuda and is_measured(self.step + 1, self.dense_until, all_of_them=True):
                self.labels_before.note(logits, labels, ignore_index)
            if self.on_loss is not None:
                self.on_loss(logits, labels, ignore_index)

    # --- backward ---

    @told
    def backward_begins(self, tensors: object) -> None:
        self._begin_backward(tensors)
        self.meanwhile.begin()

    @not_compiled
    def backward_ended(self) -> None:
        """Nothing of ours outlives it."""
        self.meanwhile.wait()

    @guarded
    def _begin_backward(self, tensors: object) -> None:
        self._asks_only = False
        self._first_batch = self._first_batch or self._loading.arrived  # of a training without a classification, too
        root = root_of(tensors)
        if root is None:
            self.tally.counts["leaf_backwards"] += 1
            return
        sharing = self._updates.sharing
        if sharing.is_found:
            self._look_for_shared()
        else:
            sharing.stepped.clear()
        step = self.step + 1
        wanted = self._measures_all or step == self.closes_at or self._looks_at_images or self._loading.is_at_first
        measured = is_measured(step, self.dense_until, all_of_them=wanted)
        if not measured and self._is_alone and (consumer := self._sight.recognized(root)) is not None:
            self._begin_unmeasured(consumer)
            return
        reached = self._sight.remembered(root, recording=not self._is_eager)
        batch = read_batch(reached.consumer, reached.log_softmax) if reached is not None and measured else None
        if measured and batch is None:  # its values are hidden, or none of it is left
            reached = None
        judged = self.structure
        if reached is None and judged is not None and self._rivals.is_known(root, loss_of(judged)):
            self._is_another()
            return
        walked = False
        if not self._is_eager:
            if reached is None:  # nothing that a walk would compute is computed while a graph records
                self.tally.counts["other_backwards"] += 1
                return
        elif reached is None or (measured and self._sight.is_due(self.step + 1)):
            if reached is not None:  # a classification, however many losses without one went before
                self._sight.fruitless = 0
            reached, walked = self._look(root), True
            if reached is None and self.structure is None and self._sight.fruitless == FRUITLESS:
                self._write_fruitless(root, scalar_of(tensors))
            if reached is not None and measured:
                batch = read_batch(reached.consumer, reached.log_softmax)
        if reached is None or (measured and batch is None):
            self._is_another()
            if not self.step:
                self.tally.no_classification(root)
            return
        if batch is None or self.structure is None:
            self._begin_unmeasured(reached.consumer)
            return
        waits = not walked and self._may_wait
        if waits:
            self.meanwhile.put_off(batch.log_probs.device)
        probes = AtBackward(self.structure, reached, self)
        with NoGradients():
            taken = self._take(probes, batch, root, scalar_of(tensors))
            self._settle()
            self.meanwhile.do(lambda: self._measure(probes, taken))
            if not waits:
                self._look_closer(probes, taken, root, walked=walked)

    def _take(self, probes: AtBackward, batch: Batch, root: Node, loss: Tensor | None) -> Taken:
        """What backward is about to give back or to change."""
        before = self._weights.gradients_before() if self._adds else None
        with self._aside():
            features = probes.features(compared=self._is_compared) or Features()  # None: it failed
            self._beside.reads(batch.log_probs, batch.targets, *features)
            return Taken(batch, probes.plain(batch) or batch, features, loss, probes.weight(root), before)

    @guarded
    def _measure(self, probes: AtBackward, taken: Taken) -> None:
        """A step begins: what can be measured of it without its graph."""
        now, log_probs = self._begin_step(measured=True), taken.batch.log_probs
        if self.device is None:
            self.device = str(log_probs.device)
            self._measures_all = not (self._leaves_out and self.meanwhile.helps(log_probs.device))
        now.classes = log_probs.shape[1]
        measurements = now.measurements
        scale = self._scale if now.scaled else None
        if scale is not None:
            measurements["amp_scale"] = scale
        if self._between:
            measurements["labels_between"], self._between = self._between, []
        if taken.gradients_before is not None:
            measurements["head_grad_before"] = taken.gradients_before
        with self._aside():
            probes.feature_lengths(taken.features, now)
            self._measure_rows(taken.plain, now)
            for name, value in (("loss", taken.loss), ("ce_weight", taken.weight)):
                if value is not None:
                    measurements[name] = value / scale if scale is not None else value

    @guarded
    def _look_closer(self, probes: AtBackward, taken: Taken, root: Node, *, walked: bool) -> None:
        """What is not measured at each step, and needs the graph; walked: that was looked at."""
        now = self._open
        if now is None:  # it failed
            return
        if self._is_eager and self._arrivals.likeness.wants_more(self._loading.epoch):
            probes.likeness(root, taken.batch, self._arrivals.likeness, now.epoch)
        rows = self._weights.rows_that_go_uphill if self._is_eager else None
        if self._updates.closures > 1:  # a line search: where it goes is not what its last look alone asks for
            self._weights.uphill.forget()
        elif rows is not None:
            probes.uphill(taken.plain, rows, self._weights.uphill)
        if walked or (self._is_eager and now.step_in_epoch == 1 and now.epoch in IMAGES_AT):
            probes.images(root, taken.batch, now)
        if walked and self._is_eager:
            probes.asked(taken.plain, now)
        if walked:
            probes.share(now)
            probes.turned(now)
            probes.targets(root, now)

    def _begin_unmeasured(self, consumer: Node) -> None:
        """A step of which nothing but its labels is looked at. consumer: what holds them."""
        self._begin_step(measured=False)
        if self._is_eager and self.step <= self.dense_until and len(self._between) < MOST_BETWEEN:
            labels = labels_of(consumer)
            if labels is not None:
                self._between.append(labels.clone())  # theirs may hold the next batch's by then

    def _begin_step(self, *, measured: bool) -> Step:
        """The judged loss goes backward."""
        self._settle()
        self._updates.backward_within()
        self._rivals.judged_came()
        self.tally.counts["backwards"] += 1
        self.step += 1
        now = self._open = self._new_step()
        now.measured = measured
        return now

    @property
    def _is_alone(self) -> bool:
        """Nothing but the judged loss has gone backward so far, and what goes backward now is computed now."""
        return self._is_eager and not self.tally.counts["other_backwards"]

    @told
    def gradients_asked(self, outputs: object, inputs: object, *, is_last: bool) -> None:
        """torch.autograd.grad is about to be called; is_last: the graph goes with it."""
        wanted = [inputs] if isinstance(inputs, Tensor) else inputs if isinstance(inputs, (list, tuple)) else []
        if not self._asks_only:
            return  # beside backward: a penalty, or gradients that are only compared
        if is_last and self.tally.counts["optimizer_steps"] and any(isinstance(one, nn.Parameter) for one in wanted):
            self._adds = False  # nothing to the gradients that are there
            self.backward_begins(outputs)
            self._adds = self._asks_only = True
        else:
            self.tally.counts["other_backwards"] += 1

    @guarded
    def _measure_rows(self, batch: Batch, now: Step) -> None:
        now.measurements.update(measure.classification_rows(batch))

    @property
    def _may_wait(self) -> bool:
        """What belongs to this step's batch and to the last step's end may be measured while backward runs."""
        if not self._is_eager or self.step < WAITED_FOR or self._updates.are_under_way or self._loading.is_at_first:
            return False
        return not (self._weights.uphill.wants_more or self._looks_at_images)

    @property
    def _looks_at_images(self) -> bool:
        """They are compared with each other, batch after batch."""
        structure = self.structure
        is_told = structure is not None and structure.image_path is not None
        return is_told and self._arrivals.likeness.wants_more(self._loading.epoch)

    @property
    def _is_compared(self) -> bool:
        """The features of the batch that goes backward are. A graph is recorded once for all the steps; few are
        measured late."""
        step = self.step + 1
        often = step <= COMPARED_UNTIL or step > self.dense_until
        return often or step % COMPARED_EACH == 0 or not self._is_eager

    def _aside(self) -> AbstractContextManager[None]:
        """Where figures are computed that nothing waits for."""
        return nullcontext() if self._is_eager else self._beside.branch()

    # --- CUDA graphs ---

    @told
    def capture_begins(self) -> None:
        """From now on nothing is computed, only recorded."""
        self.settle()
        self._is_eager, self._before_capture = False, self.tally.counts.copy()

    @told
    def capture_ends(self) -> None:
        """While it still records: the row is part of the graph, too."""
        self._beside.join()
        if self._open is not None and self._open.applied and "classes" in self._open.measurements:
            self._open.row = self._close(self._open)

    @told
    def capture_ended(self, graph: object) -> None:
        recorded, self._open = self._open, None
        if self._is_eager:
            return
        self._is_eager, before = True, self._before_capture
        counts, self.tally.counts = self.tally.counts - before, before
        self.step -= counts["backwards"]
        if recorded is not None and counts["backwards"] == 1:
            self._captured[graph] = Recorded(recorded, counts)

    @told
    def replay_begins(self) -> None:
        """The figures of the last replay are about to be written over."""
        self.settle()

    @told
    def replayed(self, graph: object) -> None:
        recorded = self._captured.get(graph)
        if recorded is None:
            return
        self.tally.counts.update(recorded.counts)
        self.step += 1
        self._weights.lose_sight()
        new, known = self._new_step(), recorded.step
        self._open = replace(
            known,
            number=new.number,
            epoch=new.epoch,
            step_in_epoch=new.step_in_epoch,
            events=new.events + known.events.partition("b")[2],
            data_s=new.data_s,
            arrived=new.arrived,
            compute_s=None,
            measurements=dict(known.measurements),
            measured=is_measured(self.step, self.dense_until, all_of_them=True),
        )

    def _look(self, root: Node) -> Reached | None:
        """Walk the graph; remember and write what it shows. None where it holds no classification."""
        known, step = self.structure, self.step + 1
        structure = self._sight.look(root, step, self._updates.stepped)
        if structure is None:
            return None
        if known is not None and structure.live.holds(known.head):
            before, other = loss_of(known), loss_of(structure)
            if self._rivals.is_beside(before, other):
                return None
            if self._rivals.is_of_a_critic(before, other):
                self._begin_anew(before.name)
        self.labels_before.classes = structure.graph_facts.num_classes
        last = self._sight.keep(structure, step)
        if last is None or last.head is not structure.head:
            self._weights.follow_head(structure.head)
            if structure.head is not None:
                self._updates.heads.head(structure.head, structure.live.name(structure.head))
        if last is None or [id(p) for _, p in last.backbone] != [id(p) for _, p in structure.backbone]:
            self._weights.follow_backbone(structure.backbone)
        updates = self.tally.counts["optimizer_steps"]
        self._at_a_look.write(
            root, structure, step, updates=updates, stepped=self._updates.stepped, is_first=last is None
        )
        self._write_counts()
        return self._sight.reached(root)

    @guarded
    def _write_fruitless(self, root: Node, loss: Tensor | None) -> None:
        """What there is instead of a classification."""
        parameters, odd = read_unclassified(root, self.step)
        self._writer.if_new(parameters)
        if odd is not None:
            self._writer.if_new(odd)
        if loss is not None:
            scale = self._scale.item() if self._scale is not None else 1.0
            added = without_gradient(root, loss)
            self.tally.loss_without_graph = added / scale if added is not None else None
        self._write_counts(others_under_way=1)

    def _begin_anew(self, before: str | None) -> None:
        """What was written so far is of a loss beside the one that is judged from now on."""
        self._settle()
        self._fetch(wait=True)
        self._arrivals.begin_anew()
        self._between = []
        self.ledger.add(AnewFacts(step=self.step, before=before))
        self._writer.forget()

    def _new_step(self) -> Step:
        loading = self._loading
        loading.feeds_a_step()
        self._first_batch = self._first_batch or loading.arrived
        events, self._before = self._before + "b", ""
        scaled = events.endswith("ab")
        step = Step(
            number=self.step,
            epoch=max(loading.epoch, 1),
            step_in_epoch=loading.current.place if loading.current.key else self.step,
            events=events.replace("a", ""),
            data_s=loading.data_s,
            arrived=loading.arrived,
            scaled=scaled,
        )
        loading.data_s = 0.0
        self._place = (step.epoch, step.step_in_epoch)
        return step

    # --- between backward and the next batch ---

    @told
    def zeroed(self) -> None:
        self.tally.counts["zero_grads"] += 1
        self._note("z")

    @told
    def scaled(self, scaler: Any) -> None:
        """GradScaler multiplied a loss; the next backward carries its scale."""
        scale = getattr(scaler, "_scale", None)
        if isinstance(scale, Tensor) and scaler.is_enabled():
            self._scale = scale.detach().clone()
            self._before += "a"

    @told
    def unscaled(self) -> None:
        self._note("u")

    @told
    def clip_begins(self) -> None:
        if self._open is not None and self._open.measured:
            self._weights.read_gradients(self._open, "head_grad", "backbone_grad")

    @told
    def clip_ended(self, total: object, at: object) -> None:
        self._note("c")
        if self._open is not None:
            self._open.row = None
            if isinstance(total, Tensor) and total.numel() == 1:
                self._open.measurements["grad_norm_total"] = total.detach().reshape(())
            self._open.clip_at = as_float(at)

    @told
    def scaler_step_begins(self) -> None:
        self._scaler_stepped = False

    @told
    def scaler_step_ended(self) -> None:
        if not self._scaler_stepped:
            self.tally.counts["skipped"] += 1
            self._note("k")

    @told
    def step_begins(self, optimizer: Optimizer) -> None:
        self._scaler_stepped = True
        structure, now = self._sight.structure, self._open
        head = structure.head if structure is not None else None
        if now is not None and (structure is None or not now.measured):
            now = None
        self._updates.begin(optimizer, head, now, eager=self._is_eager, aside=self._aside())

    @told
    def step_ended(self, optimizer: Optimizer) -> None:
        self.tally.counts["optimizer_steps"] += 1
        self._note("s")
        now = self._open
        if now is not None:
            now.applied = True
        self._updates.end(optimizer, now if now is not None and now.measured else None, eager=self._is_eager)
        if now is None and self.tally.counts["optimizer_steps"] in STEPS_WITHOUT_BACKWARD:
            self._write_counts()

    @guarded
    def _look_for_shared(self) -> None:
        if self.structure is not None:
            facts = self._updates.sharing.next_gradient(self.step, self.structure.live.name)
            if facts is not None:
                self.ledger.add(facts)

    def _note(self, event: str) -> None:
        if self._open is not None:
            self._open.events += event
        elif len(self._before) < 64:
            self._before += event

    # --- the end of a step, and of all ---

    @told
    def settle(self) -> None:
        """Close the step that is under way, where there is one."""
        self._updates.forget()
        self._settle()

    def _settle(self) -> None:
        now, self._open = self._open, None
        if now is None or not self._is_eager:
            return
        if now.compute_s is None:
            now.compute_s = time.perf_counter() - now.arrived
        if now.measured:
            self.meanwhile.do(lambda: self._send(now))
        else:
            self._writer.count(now)

    @guarded
    def _send(self, now: Step) -> None:
        row = self._close(now) if now.row is None else now.row
        self._arrivals.expect(now, row)
        self._fetch(wait=row.device.type == "cpu" or self.step <= WAITED_FOR or self._arrivals.is_full)

    def _close(self, now: Step) -> Tensor:
        """Measure what is left to be measured; all of it in one row."""
        with NoGradients():
            self._weights.close(now, eager=self._is_eager)
            return now.to_row()

    def fetch(self, *, wait: bool = True) -> None:
        """Write the steps that have arrived; with `wait` all of them, as soon as they have."""
        self.meanwhile.wait()
        self._fetch(wait=wait)

    def _fetch(self, *, wait: bool) -> None:
        self._arrivals.write(wait=wait, dense_until=self.dense_until)

    def _skipped(self, times: int) -> None:
        self.tally.counts["optimizer_steps"] -= times
        self.tally.counts["skipped"] += times

    def _is_another(self) -> None:
        """The backward that begins is none of the judged loss."""
        self.tally.counts["other_backwards"] += 1
        self._note("x")

    def _write_counts(self, *, others_under_way: int = 0) -> None:
        facts = self.tally.facts(self.step, self._updates.heads, self._rivals, others_under_way=others_under_way)
        self._writer.if_new(facts)

    @told
    def finish(self, how: Any) -> None:
        """Write what is still pending and how the training ended: finished, stopped, interrupted or crashed."""
        self.settle()
        self.fetch()
        self._look_for_shared()
        if self.structure is not None:
            self._at_a_look.schedules(self.structure, self.step, updates=self.tally.counts["optimizer_steps"])
        self._arrivals.write_labels(self.step)
        self._write_counts()
        now = time.perf_counter()
        begun = self._first_batch or now
        self._writer.end(self.step, self._place, how, started=self._started, begun=begun, now=now)
        self.meanwhile.close()

    def pinned(self) -> list[Tensor]:
        return [*self.labels_before.pinned, *self._arrivals.pinned]
