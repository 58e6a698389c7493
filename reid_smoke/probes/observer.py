"""The observer: told of what happens in a training, in the order in which it happens, it writes the facts.

It does not know whose loop it watches. Hooks (`watch/hooks.py`) call it at PyTorch's own doors: a batch is fetched,
backward begins and ends, gradients are clipped, an optimizer steps. Figures stay on the device and travel to the host
without waiting for it; on the CPU, where reading is free, at once.

A step that was captured as a CUDA graph is told of once, at its capture. The figures are then part of the graph: each
replay computes them anew, and is a step.

Long after the window a verdict needs no more steps: from `dense_until` on every 11th is measured and written, ten times
later every 53rd, and from there on ever fewer, as many each time that the training has become twice as long. So what is
kept of it stays small, however long it is; those in between cost next to nothing. Primes, so that no accumulation cycle
hides between them.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from reid_smoke.facts import (
    AnewFacts,
    LoopFacts,
    ParameterFacts,
    ProbeFault,
)
from reid_smoke.ledger import Ledger
from reid_smoke.probes import measure
from reid_smoke.probes.at_backward import AtBackward
from reid_smoke.probes.beside import Beside
from reid_smoke.probes.checkpoint import not_arrived
from reid_smoke.probes.continuity import Continuity
from reid_smoke.probes.cross_entropy import log_softmax_of, read_batch
from reid_smoke.probes.figures import counted_labels, read_figures, turned_by
from reid_smoke.probes.freshness import Frozen
from reid_smoke.probes.groups import as_float, group_of, held_by
from reid_smoke.probes.guard import guarded
from reid_smoke.probes.labels import LabelCounts, LabelsBeforeLoss
from reid_smoke.probes.likeness import Likeness
from reid_smoke.probes.loading import Loading
from reid_smoke.probes.nodes import Node, follow, loss_in_words, root_of, scalar_of
from reid_smoke.probes.outbox import Outbox
from reid_smoke.probes.resume import Resumed, rates_of
from reid_smoke.probes.rivals import Rivals, loss_of
from reid_smoke.probes.schedules import Schedules
from reid_smoke.probes.sharing import Sharing
from reid_smoke.probes.statistics import Statistics
from reid_smoke.probes.structure import Structure, read_structure, read_unclassified
from reid_smoke.probes.under_way import Recorded, Step
from reid_smoke.probes.weights import Weights
from reid_smoke.probes.writer import FactWriter

WALK_AT = (1, 2, 5, 20, 50)  # and at every hundredth step
WAITED_FOR = 5  # first steps whose figures are there at once; later ones arrive when they do
COMPARED_UNTIL, COMPARED_EACH = 20, 5  # step, and every so many after it, whose features are compared with each other
IMAGES_AT = (2, 3, 4, 5)  # epochs whose first images are measured, too: are they what they were?
FRUITLESS = 3  # backwards without any classification, after which it is written down what they reach
MOST_FAULTS = 3  # of one probe, before it is switched off
STEPS_WITHOUT_BACKWARD = (3, 10, 100)  # where a loop that steps without any backward is written down
DENSE_UNTIL = 2000  # steps, each of which is measured
EARLY_STRIDE, SPARSE_FROM = 11, 10  # from there on, up to so many times there
STRIDES = (53, 101, 211, 401, 809, 1601, 3203, 6421, 12809, 25601)  # from there on, each for a doubling; the last stays
MOST_LOADS = 16  # checkpoints that are told of
MOST_PATHS = 8  # shapes of the graph between loss and labels that are remembered
OFTEN = 1000  # steps within which whatever changed is written each time
COUNTS = ("backwards", "other_backwards", "leaf_backwards", "optimizer_steps", "skipped", "zero_grads")


class Observer:
    """Writes the facts of one training to `ledger`. Every method that a hook calls is guarded."""

    def __init__(self, ledger: Ledger, *, started: float | None = None, head: re.Pattern[str] | None = None) -> None:
        """started: `time.perf_counter()` at the process's start, for the start-up time.
        head: which weight is the head, where a loss has several.
        """
        self.ledger = ledger
        self._wanted = head
        self._writer = FactWriter(ledger)
        self.step = 0
        self.dense_until = DENSE_UNTIL
        self.device: str | None = None  # of the logits, torch's name of it
        self.on_loss: Callable[[Tensor, Tensor, int], None] | None = None  # is told logits, labels and ignore_index
        self.unclassified: dict[str, int] = {}  # losses without a classification, in words, while none had any
        self._paths: list[tuple[tuple[int, ...], str]] = []  # from a loss to its labels, and the node that holds those
        self._walked = 0
        self._started = started if started is not None else time.perf_counter()
        self._first_batch: float | None = None
        self._structure: Structure | None = None
        self._weights = Weights()
        self._open: Step | None = None
        self._outbox = Outbox()
        self._captured: WeakKeyDictionary[object, Recorded] = WeakKeyDictionary()  # by CUDA graph
        self._beside = Beside()
        self._before_capture: dict[str, int] | None = None  # the counts; None: nothing is being captured
        self._before = ""  # events since the last step closed
        self._loading = Loading(ledger)
        self._labels = LabelCounts()
        self._likeness = Likeness()
        self.labels_before = LabelsBeforeLoss()
        self._sharing = Sharing()
        self._schedules = Schedules()
        self._resumed = Resumed()
        self._frozen = Frozen()
        self._statistics = Statistics()
        self._continuity = Continuity()
        self._rivals = Rivals(head)
        self._labels_due: int | None = None  # with which step they are told of, besides every hundredth
        self._optimizers: WeakSet[Optimizer] = WeakSet()  # that stepped
        self._stepping: list[bool] = []  # of each optimizer that steps now, the outermost first: is the head in it
        self._closures = 0  # backwards within the optimizer's step
        self._scale: Tensor | None = None
        self._stepped = False
        self._without_gradient = 0
        self._asks_only = True  # for gradients, by torch.autograd.grad, and never goes backward
        self._counts = dict.fromkeys(COUNTS, 0)
        self._fruitless_walks = 0
        self._loads = 0
        self._faults: dict[str, int] = {}

    @property
    def structure(self) -> Structure | None:
        """What the last walk found; None before the first classification."""
        return self._structure

    @property
    def batch_size(self) -> int | None:
        """Images a batch: as the loader has it, or else as the last step had; None where neither is known."""
        promised = self._loading.current.batch_size
        return promised if promised is not None or not self.ledger.steps else self.ledger.steps[-1].batch

    @guarded
    def loaded(self, module: nn.Module, state_dict: object, result: Any, where: str) -> None:
        """A checkpoint was loaded with strict=False."""
        facts = not_arrived(module, state_dict, result, where) if self._loads < MOST_LOADS else None
        if facts is not None:
            self._loads += 1
            self.ledger.add(facts)

    @guarded
    def model_loaded(self, module: nn.Module, state_dict: object) -> None:
        self._resumed.model_loaded(module, state_dict)

    @guarded
    def rates_before_load(self, optimizer: Optimizer) -> list[float | None]:
        return rates_of(optimizer)

    @guarded
    def optimizer_loaded(self, optimizer: Optimizer, rates_before: list[float | None] | None, where: str) -> None:
        self._resumed.optimizer_loaded(optimizer, rates_before or [], where)

    # --- batches ---

    @guarded
    def batch_requested(self, iterator: object) -> None:
        if self._open is not None and self._open.compute_s is None:
            self._open.compute_s = time.perf_counter() - self._open.arrived

    @guarded
    def batch_fetched(self, iterator: object, seconds: float, promised: int | None) -> None:
        self._stepping.clear()  # a step that raised never ended
        self._loading.fetched(iterator, seconds, promised)

    @guarded
    def epoch_ended(self, iterator: object) -> None:
        if self._loading.exhausted(iterator):
            self._labels_due = self.step

    # --- the loss ---

    @guarded
    def labels_go_in(self, logits: object, labels: object, ignore_index: object) -> None:
        """A classification loss is about to be computed."""
        if isinstance(logits, Tensor) and isinstance(labels, Tensor) and isinstance(ignore_index, int):
            if not logits.requires_grad and logits.dim() == 2 and torch.is_grad_enabled():
                self._without_gradient += 1
            if labels.is_cuda:
                self.labels_before.note(logits, labels, ignore_index)
            if self.on_loss is not None:
                self.on_loss(logits, labels, ignore_index)

    # --- backward ---

    def _is_measured(self, step: int) -> bool:
        if step <= self.dense_until:
            return True
        times = step / (SPARSE_FROM * self.dense_until)
        doublings = int(math.log2(times)) if times > 1 else -1
        stride = STRIDES[min(doublings, len(STRIDES) - 1)] if doublings >= 0 else EARLY_STRIDE
        return step % stride == 0

    def _is_walked(self, step: int) -> bool:
        return step in WALK_AT or step % 100 == 0 or step - self._walked > 100

    @guarded
    def backward_begins(self, tensors: object) -> None:
        self._asks_only = False
        root = root_of(tensors)
        if root is None:
            self._counts["leaf_backwards"] += 1
            return
        self._look_for_shared()
        measured = self._is_measured(self.step + 1)
        consumer = self._remembered(root)
        judged = self._structure
        if consumer is None and judged is not None and self._rivals.is_known(root, loss_of(judged)):
            self._is_another()
            return
        walked = False
        if self._before_capture is not None:
            if consumer is None:  # nothing that a walk would compute is computed while a graph records
                self._counts["other_backwards"] += 1
                return
        elif consumer is None or (measured and self._is_walked(self.step + 1)):
            if consumer is not None:  # a classification, however many losses without one went before
                self._fruitless_walks = 0
            consumer, walked = self._look(root), True
        batch = read_batch(consumer) if consumer is not None and measured else None
        if consumer is None or (measured and batch is None):
            self._is_another()
            if not self.step and len(self.unclassified) < 16:
                words = loss_in_words(root)
                self.unclassified[words] = self.unclassified.get(words, 0) + 1
            return
        within = self._stepping.copy()  # the backward is a closure's: the optimizer's step goes on after it
        self.settle()
        self._stepping = within
        self._closures += bool(within)
        self._rivals.judged_came()
        self._counts["backwards"] += 1
        self.step += 1
        now = self._open = self._new_step()
        now.measured = measured
        if batch is None:
            return
        if self.device is None:
            self.device = str(batch.log_probs.device)
        now.classes = batch.log_probs.shape[1]
        measurements = now.measurements
        scale = self._scale if now.scaled else None
        if scale is not None:
            measurements["amp_scale"] = scale
        probes = AtBackward(self._structure, self)
        with torch.no_grad():
            self._weights.before_backward(now)
            with self._aside():
                features = probes.features(consumer, now, compared=self._is_compared) or ()  # None: the probe failed
                self._beside.reads(batch.log_probs, batch.targets, *features)
                plain = probes.plain(consumer, batch) or batch
                measurements.update(measure.classification_rows(plain))
                loss = scalar_of(tensors)
                if loss is not None:
                    measurements["loss"] = loss / scale if scale is not None else loss
                probes.weight(root, consumer, batch, now, scale)
            if self._loading.epoch <= 1 and self._likeness.wants_more and self._is_eager:
                probes.likeness(root, consumer, batch, self._likeness)
            rows = self._weights.rows_that_go_uphill if self._is_eager else None
            if self._closures > 1:  # a line search: where it goes is not what its last look alone asks for
                self._weights.uphill.forget()
            elif rows is not None:
                probes.uphill(consumer, plain, rows, self._weights.uphill)
            if walked or (self._is_eager and now.step_in_epoch == 1 and now.epoch in IMAGES_AT):
                probes.images(root, batch, now)
            if walked and self._is_eager:
                probes.asked(consumer, plain, now)
            if walked:
                probes.share(consumer, now)
                probes.turned(consumer, now)
                probes.targets(root, consumer, now)

    @guarded
    def gradients_asked(self, outputs: object, inputs: object, *, is_last: bool) -> None:
        """torch.autograd.grad is about to be called; is_last: the graph goes with it."""
        wanted = [inputs] if isinstance(inputs, Tensor) else inputs if isinstance(inputs, (list, tuple)) else []
        if not self._asks_only:
            return  # beside backward: a penalty, or gradients that are only compared
        if is_last and self._counts["optimizer_steps"] and any(isinstance(one, nn.Parameter) for one in wanted):
            self.backward_begins(outputs)
            self._asks_only = True
            if self._open is not None:
                self._open.measurements.pop("head_grad_before", None)  # nothing is added to what is there
        else:
            self._counts["other_backwards"] += 1

    @property
    def _is_eager(self) -> bool:
        """What is asked for is computed now, and not recorded by a CUDA graph."""
        return self._before_capture is None

    @property
    def _is_compared(self) -> bool:
        """The features of this step's batch are. A graph is recorded once for all the steps; few are measured late."""
        step = self.step
        often = step <= COMPARED_UNTIL or step > self.dense_until
        return often or step % COMPARED_EACH == 0 or not self._is_eager

    def _aside(self) -> AbstractContextManager[None]:
        """Where figures are computed that nothing waits for."""
        return nullcontext() if self._is_eager else self._beside.branch()

    # --- CUDA graphs ---

    @guarded
    def capture_begins(self) -> None:
        """From now on nothing is computed, only recorded."""
        self.settle()
        self._before_capture = dict(self._counts)

    @guarded
    def capture_ends(self) -> None:
        """While it still records: the row is part of the graph, too."""
        self._beside.join()
        if self._open is not None and self._open.applied and "classes" in self._open.measurements:
            self._open.row = self._close(self._open)

    @guarded
    def capture_ended(self, graph: object) -> None:
        before, self._before_capture = self._before_capture, None
        recorded, self._open = self._open, None
        if before is None:
            return
        counts = {name: count - before[name] for name, count in self._counts.items()}
        self._counts = before
        self.step -= counts["backwards"]
        if recorded is not None and counts["backwards"] == 1:
            self._captured[graph] = Recorded(recorded, counts)

    @guarded
    def replay_begins(self) -> None:
        """The figures of the last replay are about to be written over."""
        self.settle()

    @guarded
    def replayed(self, graph: object) -> None:
        recorded = self._captured.get(graph)
        if recorded is None:
            return
        for name, count in recorded.counts.items():
            self._counts[name] += count
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
            measured=self._is_measured(self.step),
        )

    def _remembered(self, root: Node) -> Node | None:
        if self._structure is None:
            return None
        for path, name in self._paths:
            consumer = follow(root, path)
            if consumer is None or consumer.name() != name or log_softmax_of(consumer) is None:
                continue
            # While a graph records there is no looking again, and what it records is the model that was looked at.
            return consumer if self._before_capture is not None or self._structure.is_of(consumer) else None
        return None

    def _look(self, root: Node) -> Node | None:
        """Walk the graph; remember and write what it shows. None where it holds no classification."""
        if self._fruitless_walks > 50 and self._fruitless_walks % 50:
            self._fruitless_walks += 1
            return None
        structure = read_structure(root, self.step + 1, self._structure, self._wanted, self._optimizers)
        if structure is not None and self._structure is not None and structure.live.holds(self._structure.head):
            before, other = loss_of(self._structure), loss_of(structure)
            if self._rivals.is_beside(before, other):
                return None
            if self._rivals.is_of_a_critic(before, other):
                self._begin_anew(before.name)
        if structure is None:
            self._fruitless_walks += 1
            if self._fruitless_walks == FRUITLESS and self._structure is None:
                parameters, odd = read_unclassified(root, self.step)
                self._writer.if_new(parameters)
                if odd is not None:
                    self._writer.if_new(odd)
                self._write_counts(others_under_way=1)
            return None
        self._walked = self.step + 1
        last, self._structure = self._structure, structure
        way = (structure.classification.path, structure.classification.consumer)
        if last is None or last.head is not structure.head:
            self._paths.clear()
        if way not in self._paths:
            self._paths = [way, *self._paths][:MOST_PATHS]
        if last is None or last.head is not structure.head:
            self._weights.follow_head(structure.head)
            if structure.head is not None:
                self._continuity.head(structure.head, structure.live.name(structure.head))
        if last is None or [id(p) for _, p in last.backbone] != [id(p) for _, p in structure.backbone]:
            self._weights.follow_backbone(structure.backbone)
        self._writer.if_new(structure.graph_facts)
        self._writer.if_new(structure.mode_facts)
        written = self._writer.last(ParameterFacts)
        # A long list, which a schedule changes at each look: later on, only when the training is a tenth longer.
        due = not isinstance(written, ParameterFacts) or self.step < OFTEN or self.step > 1.1 * written.step
        if due and not structure.sharded:
            self._writer.if_new(structure.parameter_facts(self.step + 1))
        if due:
            self._write_schedules()
        if last is None:
            self._write_resumed(structure)
        if due:
            self._write_frozen(structure)
            self._write_statistics(structure)
        self._write_counts()
        return follow(root, structure.classification.path)

    def _begin_anew(self, before: str | None) -> None:
        """What was written so far is of a loss beside the one that is judged from now on."""
        self.settle()
        self.fetch()
        self._labels, self._likeness = LabelCounts(), Likeness()
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
        return step

    # --- between backward and the next batch ---

    @guarded
    def zeroed(self) -> None:
        self._counts["zero_grads"] += 1
        self._note("z")

    @guarded
    def scaled(self, scaler: Any) -> None:
        """GradScaler multiplied a loss; the next backward carries its scale."""
        scale = getattr(scaler, "_scale", None)
        if isinstance(scale, Tensor) and scaler.is_enabled():
            self._scale = scale.detach().clone()
            self._before += "a"

    @guarded
    def unscaled(self) -> None:
        self._note("u")

    @guarded
    def clip_begins(self) -> None:
        if self._open is not None and self._open.measured:
            self._weights.read_gradients(self._open, "head_grad", "backbone_grad")

    @guarded
    def clip_ended(self, total: object, at: object) -> None:
        self._note("c")
        if self._open is not None:
            self._open.row = None
            if isinstance(total, Tensor) and total.numel() == 1:
                self._open.measurements["grad_norm_total"] = total.detach().reshape(())
            self._open.clip_at = as_float(at)

    @guarded
    def scaler_step_begins(self) -> None:
        self._stepped = False

    @guarded
    def scaler_step_ended(self) -> None:
        if not self._stepped:
            self._counts["skipped"] += 1
            self._note("k")

    @guarded
    def step_begins(self, optimizer: Optimizer) -> None:
        self._stepped = True
        self._optimizers.add(optimizer)
        group = group_of(optimizer, self._structure.head) if self._structure is not None else None
        holds_head = group is not None and group.get("lr") is not None
        inside = any(self._stepping)
        self._closures = self._closures if self._stepping else 0
        self._stepping.append(holds_head or inside)
        now = self._open
        if now is None or self._structure is None or not now.measured:
            self._weights.lose_sight()
            return
        now.row = None  # a graph that holds no update: it follows by itself
        with torch.no_grad():
            self._weights.before_step(now, of_head=holds_head, eager=self._is_eager)
            with self._aside():  # a step reads the gradients, and leaves them as they are
                self._weights.read_gradients(now, "head_grad_applied", "backbone_grad_applied", optimizer)
        # A wrapper (Lookahead, say) steps the optimizer inside of it: that is one step.
        if len(self._stepping) == 1:
            self._sharing.step(optimizer)
        for_another = now.head_steps > 0 and "x" in now.events.rsplit("s", 1)[-1]  # a loss that went backward since
        if holds_head and not inside and not for_another:
            now.head_steps += 1
            now.head_optimizers.add(id(optimizer))
            self._continuity.stepped(optimizer)
        self._read_lr(now, "lr_head", group)
        self._read_lr(now, "lr_backbone", group_of(optimizer, self._weights.sentinel))

    @guarded
    def step_ended(self, optimizer: Optimizer) -> None:
        holds_head = self._stepping.pop() if self._stepping else False
        self._counts["optimizer_steps"] += 1
        self._note("s")
        if self._open is not None:
            self._open.applied = True
            if not self._open.measured:
                return
            with torch.no_grad():
                self._read_skip(self._open, optimizer)
                self._weights.after_step(self._open, of_head=holds_head, eager=self._is_eager)
        elif self._counts["optimizer_steps"] in STEPS_WITHOUT_BACKWARD:
            self._write_counts()

    @guarded
    def _look_for_shared(self) -> None:
        if self._structure is not None:
            facts = self._sharing.next_gradient(self.step, self._structure.live.name)
            if facts is not None:
                self.ledger.add(facts)

    def _read_skip(self, now: Step, optimizer: Optimizer) -> None:
        """A fused optimizer is stepped by GradScaler all the same, and skips by itself what is not finite."""
        found = getattr(optimizer, "found_inf", None)
        if isinstance(found, Tensor):
            skip = (found.detach().reshape(()) > 0).float()
            earlier = now.measurements.get("skips")
            now.measurements["skips"] = skip + earlier if isinstance(earlier, Tensor) else skip

    def _read_lr(self, now: Step, name: str, group: dict[str, Any] | None) -> None:
        lr = group.get("lr") if group is not None else None
        if isinstance(lr, Tensor) and lr.device.type != "cpu":
            now.measurements[name] = lr.detach().reshape(()).clone()
        elif lr is not None:
            setattr(now, name, as_float(lr))

    def _note(self, event: str) -> None:
        if self._open is not None:
            self._open.events += event
        elif len(self._before) < 64:
            self._before += event

    # --- the end of a step, and of all ---

    @guarded
    def settle(self) -> None:
        """Close the step that is under way, where there is one."""
        now, self._open = self._open, None
        self._stepping.clear()  # a step that raised never ended
        if now is None or self._before_capture is not None:
            return
        if now.compute_s is None:
            now.compute_s = time.perf_counter() - now.arrived
        if not now.measured:
            self._writer.count(now)
            return
        row = self._close(now) if now.row is None else now.row
        self._outbox.put(now, row)
        self.fetch(wait=row.device.type == "cpu" or self.step <= WAITED_FOR or self._outbox.is_full)

    def _close(self, now: Step) -> Tensor:
        """Measure what is left to be measured; all of it in one row."""
        with torch.no_grad():
            self._weights.close(now, eager=self._is_eager)
            return now.to_row()

    def fetch(self, *, wait: bool = True) -> None:
        """Write the steps that have arrived; with `wait` all of them, as soon as they have."""
        stop: BaseException | None = None
        for step, row in self._outbox.take(wait=wait):
            try:
                if step.images is not None:
                    self._writer.images(step, step.images.tolist())
                numbers = step.numbers(row)
                figures = read_figures(numbers, step.updates)
                step.turned_by = turned_by(numbers, step.own_functions)
                self._labels.add(counted_labels(numbers), step.classes)
                skips = figures.pop("skips")
                if skips > 0:
                    step.skip(int(skips))
                    self._counts["optimizer_steps"] -= int(skips)
                    self._counts["skipped"] += int(skips)
                self._writer.step(step, figures)
                self._write_labels_if_due(step.number)
            except BaseException as wanted:  # whoever listens may end the training; the rest is written first
                stop = wanted
        if stop is not None:
            raise stop

    def _write_labels_if_due(self, step: int) -> None:
        due = self._labels_due is not None and step >= self._labels_due
        if due or (step % 100 == 0 and step <= self.dense_until):
            self._labels_due = None if due else self._labels_due
            self._write_labels(step)

    def _write_labels(self, step: int) -> None:
        facts = self._labels.facts(step)
        if facts is not None:
            self._writer.if_new(facts)
        likeness = self._likeness.facts(step)
        if likeness is not None:
            self._writer.if_new(likeness)

    @guarded
    def _write_resumed(self, structure: Structure) -> None:
        facts = self._resumed.facts(structure.head, self.step + 1)
        if facts is not None:
            self.ledger.add(facts)

    @guarded
    def _write_frozen(self, structure: Structure) -> None:
        facts = self._frozen.facts(structure.everything, self.step + 1, held_by(structure.live.optimizers))
        if facts is not None:
            self.ledger.add(facts)

    @guarded
    def _write_statistics(self, structure: Structure) -> None:
        facts = self._statistics.facts(structure.batch_norms, self.step + 1)
        if facts is not None:
            self.ledger.add(facts)

    @guarded
    def _write_schedules(self) -> None:
        """Where a schedule is stepped at an epoch's end, it has been by the third step of the next."""
        if self._structure is None:
            return
        facts = self._schedules.facts(
            self._structure.live.schedulers,
            self._structure.head,
            step=self.step,
            updates=self._counts["optimizer_steps"],
            epochs=max(0, self._loading.epoch - (1 if self._loading.current.given >= 3 else 2)),
        )
        if facts is not None:
            self._writer.if_new(facts)

    def _is_another(self) -> None:
        """The backward that begins is none of the judged loss."""
        self._counts["other_backwards"] += 1
        self._note("x")

    def _write_counts(self, *, others_under_way: int = 0) -> None:
        counts = self._counts
        self._writer.if_new(
            LoopFacts(
                step=self.step,
                backwards=counts["backwards"],
                other_backwards=counts["other_backwards"] + others_under_way,
                optimizer_steps=counts["optimizer_steps"],
                skipped_by_scaler=counts["skipped"],
                zero_grads=counts["zero_grads"],
                leaf_backwards=counts["leaf_backwards"],
                losses_without_gradient=self._without_gradient,
                unclassified=() if self.step else tuple(self.unclassified)[:5],
                heads=self._continuity.heads,
                head_optimizers=self._continuity.optimizers,
                rivals=self._rivals.names,
            )
        )

    @guarded
    def finish(self, how: Any) -> None:
        """Write what is still pending and how the training ended: finished, stopped, interrupted or crashed."""
        self.settle()
        self.fetch()
        self._look_for_shared()
        self._write_schedules()
        self._write_labels(self.step)
        self._write_counts()
        now = time.perf_counter()
        self._writer.end(self.step, how, started=self._started, begun=self._first_batch or now, now=now)

    # --- faults of our own ---

    def fault(self, probe: str, error: BaseException) -> None:
        self._faults[probe] = self._faults.get(probe, 0) + 1
        if self._faults[probe] <= MOST_FAULTS:
            self.ledger.add(ProbeFault(step=self.step, probe=probe, message=f"{type(error).__name__}: {error}"))

    def disabled(self, probe: str) -> bool:
        return self._faults.get(probe, 0) >= MOST_FAULTS and probe != "finish"
