"""A watched training as the subject of trials: its model on its first batches, in a plain loop of ours.

The loop is forward, plain CE on the logits, backward, step, zero_grad: no clipping, no accumulation, no scaler, no
schedule, no other loss. So what learns here and not in the script has its fault in the script's loop or loss.

Of each batch a quarter of the rows is kept out of the loss. Whether their identities are told right says if labels and
images go together; labels drawn at random can be learnt by heart as well.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer

from reid_smoke.build.model import BNNeck, build_model
from reid_smoke.config.schema import ModelConfig
from reid_smoke.probes.groups import lr_set
from reid_smoke.triage.changes import REFERENCE_BACKBONE
from reid_smoke.triage.proof import guessing_ce
from reid_smoke.triage.replay_forward import Logits, forward, images_of_batch
from reid_smoke.triage.replay_kept import Batch, CannotReplay, Kept, Parts
from reid_smoke.triage.replay_people import with_embedded_people
from reid_smoke.triage.replay_trials import LR_HEAD, LR_OTHERS, Replay, is_dropout, of_head, trials_of, usual_lr
from reid_smoke.triage.trying import Look, Played

DECAY = 1e-4  # of the reference
LR_BUILT_IN = 1e-2  # of the reference model's head, whose feature has a norm of 8
KEPT_OUT = 4  # every fourth row


class ReplaySubject:
    """Plays what a watched training kept.

    lr_factor: the lr as it was over the training, in that of what was kept: a warm-up must not pass for a fault.
    """

    has_stream = False
    stream: tuple[float, ...] = ()
    as_it_is = "their model and their optimizer, in a plain loop"

    def __init__(self, kept: Kept, lr_factor: float = 1.0) -> None:
        self._kept = kept
        self.plan = Replay(lr_factor=lr_factor)
        self.trials = trials_of(kept, lr_factor)
        self.most_distinct = len(kept.batches)
        self._embedded: list[Batch] = []

    def settings(self, plan: Replay) -> tuple[str, ...]:
        """A script has no `--set`."""
        return ()

    def play(self, plan: Replay, look: Look, tell: Callable[[int, float], None]) -> Played:
        everything = self._kept.batches if plan.data == "theirs" else self._embedded_batches()
        batches, unseen = everything[: look.distinct], everything[look.distinct :]
        classes = batches[0].num_classes
        ce: list[float] = []
        ranks: list[Tensor] = []
        error = ""
        with _left_as_it_was(self._kept.device), torch.enable_grad():
            try:
                player = _Player(plan, self._kept, batches)
                for step, batch in enumerate(islice(cycle(batches), look.steps), 1):
                    one, rank = player.step(batch)
                    ce.append(one)
                    if step > look.steps - len(batches):
                        ranks.append(rank)
                    tell(step, one)
                    if not isfinite(one):
                        break
                else:
                    ranks += [player.judge(batch) for batch in unseen]
            except Exception as failure:  # theirs or the change's: a row of the table, not the end of it
                lines = str(failure).strip().splitlines()
                error = f"{type(failure).__name__}: {lines[0]}" if lines else type(failure).__name__
        found = torch.cat(ranks) if ranks else torch.empty(0)
        guessing = guessing_ce([label for batch in batches for label in _trained_on(batch).tolist()])
        return Played(tuple(ce), classes, error, float(found.mean()) if len(found) else None, len(found), guessing)

    def _embedded_batches(self) -> list[Batch]:
        if not self._embedded:
            self._embedded = with_embedded_people(self._kept.batches)
        return self._embedded


class _Player:
    """One plan, ready to step."""

    def __init__(self, plan: Replay, kept: Kept, batches: list[Batch]) -> None:
        self._plan, self._device = plan, kept.device
        self._originals: list[Tensor] = kept.originals
        self._parts: Parts | None = None
        self._reference: nn.Module | None = None
        self._head: nn.Module | None = None
        self._trained = _trained_labels(batches)
        torch.manual_seed(0)
        if plan.model == "reference":
            images = images_of_batch(batches[0])
            if images is None:
                raise CannotReplay("no images are among what their model is given")
            height, width = images.shape[2:]
            config = ModelConfig(backbone=REFERENCE_BACKBONE)
            model = build_model(config, batches[0].num_classes, height=height, width=width).to(self._device).train()
            head = list(model.bn_neck.classifier.parameters())
            self._reference = model
            self._optimizers: list[Optimizer] = [_reference_optimizer(model, head, LR_BUILT_IN, fused=True)]
            return
        self._parts = parts = kept.parts.copy()
        for module in parts.modules:
            module.to(self._device)
            for part in module.modules():
                if plan.training_mode:
                    part.training = True  # not by train(), which theirs may have a method of its own for
                if not plan.dropout and is_dropout(part):
                    part.p = 0.0  # type: ignore[assignment]
        if plan.unfrozen or plan.fresh_head:
            for _, parameter in parts.parameters():
                parameter.requires_grad_(parameter.is_floating_point())
        if plan.optimizer == "reference":
            heads = [parts.head] if parts.head is not None else []
            self._optimizers = [_reference_optimizer(nn.ModuleList(parts.modules), heads)]
        else:
            self._optimizers = parts.optimizers
            self._set_up_theirs(parts)

    def _set_up_theirs(self, parts: Parts) -> None:
        plan = self._plan
        groups = [(optimizer, group) for optimizer in self._optimizers for group in optimizer.param_groups]
        if not groups:
            raise CannotReplay("their optimizer holds nothing")
        for optimizer, group in groups:
            if plan.reference_lr:
                group["lr"] = usual_lr(optimizer)[1]
            elif plan.base_lr:  # where the loop itself sets it, what was kept is as it was built
                group["lr"] = lr_set(group) or group["lr"]
            else:
                group["lr"] = group["lr"] * plan.lr_factor
            if not plan.decay and "weight_decay" in group:
                group["weight_decay"] = 0.0
        if plan.reference_lr:
            self._head_apart(parts)
        if plan.everything:
            self._hold_everything_once(parts)

    def _hold_everything_once(self, parts: Parts) -> None:
        """What is held twice stays in the optimizer that holds most. What is held nowhere comes to its like: a head to
        the highest lr of their optimizers, all else to the lowest that is not the head's alone."""
        held: set[int] = set()
        rates: list[float] = []
        rates_of_others: list[float] = []
        for optimizer in sorted(self._optimizers, key=_count, reverse=True):
            for group in optimizer.param_groups:
                once = {id(p): p for p in group["params"] if id(p) not in held}
                held.update(once)
                rates.append(float(group["lr"]))
                if any(p is not parts.head for p in group["params"]) and group["lr"]:
                    rates_of_others.append(float(group["lr"]))
                group["params"] = list(once.values())
        optimizer = of_head(self._optimizers, parts.head)
        rate_of_others = min(rates_of_others, default=usual_lr(optimizer)[1])
        missing = [p for _, p in parts.parameters() if p.requires_grad and id(p) not in held]
        for lr, is_head in ((max(rates), True), (rate_of_others, False)):
            these = [p for p in missing if (p is parts.head) == is_head]
            if these:
                optimizer.add_param_group({"params": these, "lr": lr})

    def step(self, batch: Batch) -> tuple[float, Tensor]:
        """One batch: CE of the rows that are trained on, and where the right identity ranks for those that are not."""
        labels, counted = batch.labels.to(self._device), batch.counted.to(self._device)
        logits = self._forward(batch)
        if self._originals:  # looked at once
            logits.check_is_apart_from(self._originals)
            self._originals = []
        kept_out = torch.arange(len(labels), device=self._device) % KEPT_OUT == KEPT_OUT - 1
        rows = counted & ~kept_out
        # Backward begins at the logits, by the gradient of plain CE there: their own loss is not asked.
        values = logits.values.detach().float().requires_grad_()
        ce = F.cross_entropy(values[rows] * batch.scale, labels[rows])
        (gradient,) = torch.autograd.grad(ce, values)
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        logits.backward(gradient)
        for optimizer in self._optimizers:
            optimizer.step()
        return float(ce.detach()), self._ranks(values, labels, counted & kept_out)

    def judge(self, batch: Batch) -> Tensor:
        """Where the right identities rank in a batch that is not trained on."""
        labels, counted = batch.labels.to(self._device), batch.counted.to(self._device)
        return self._ranks(self._forward(batch).values, labels, counted)

    def _ranks(self, logits: Tensor, labels: Tensor, judged: Tensor) -> Tensor:
        trained = self._trained.to(self._device)
        return _ranks(logits.detach().float(), labels, judged & torch.isin(labels, trained), trained).cpu()

    def _head_apart(self, parts: Parts) -> None:
        """The head in a group of its own, at the lr that a head needs."""
        for optimizer in self._optimizers:
            for group in list(optimizer.param_groups):
                if any(p is parts.head for p in group["params"]):
                    group["params"] = [p for p in group["params"] if p is not parts.head]
                    settings = {key: value for key, value in group.items() if key != "params"}
                    optimizer.add_param_group({**settings, "params": [parts.head], "lr": usual_lr(optimizer)[0]})

    def _hold(self, parameters: list[nn.Parameter]) -> None:
        """In the group of their head, as their optimizer would treat it; else in its first."""
        assert self._parts is not None
        optimizer = of_head(self._optimizers, self._parts.head)
        group = next(
            (g for g in optimizer.param_groups if any(p is self._parts.head for p in g["params"])),
            optimizer.param_groups[0],
        )
        settings = {key: value for key, value in group.items() if key != "params"}
        optimizer.add_param_group({**settings, "params": parameters})

    def _forward(self, batch: Batch) -> Logits:
        if self._reference is not None:
            images = images_of_batch(batch)
            assert images is not None
            return Logits.of(self._reference(images.to(self._device)).logits)
        assert self._parts is not None
        if not self._plan.fresh_head:
            return forward(self._parts, batch, self._device)
        return self._through_fresh_head(batch)

    def _through_fresh_head(self, batch: Batch) -> Logits:
        assert self._parts is not None
        feature = forward(self._parts, batch, self._device, feature=True)
        values = feature.values.detach().float().requires_grad_()
        if self._head is None:
            # A feature of fixed norm bears whatever lr their head had.
            self._head = BNNeck(values.shape[1], batch.num_classes, ModelConfig().feat_norm).to(self._device)
            self._hold([p for p in self._head.parameters() if p.requires_grad])
        logits, _ = self._head(values)

        def backward(gradient: Tensor) -> None:
            logits.backward(gradient.to(logits.dtype))
            if values.grad is not None:
                feature.backward(values.grad)

        return Logits(logits, backward, feature.start)


def _reference_optimizer(
    module: nn.Module, heads: Sequence[Tensor], lr: float = LR_HEAD, *, fused: bool | None = None
) -> Optimizer:
    """`fused`: one kernel for all parameters, for a model of ours; theirs may hold what it does not take."""
    known = {id(head) for head in heads}
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    head = [parameter for parameter in trained if id(parameter) in known]
    others = [parameter for parameter in trained if id(parameter) not in known]
    return AdamW([{"params": head, "lr": lr}, {"params": others, "lr": LR_OTHERS}], weight_decay=DECAY, fused=fused)


def _count(optimizer: Optimizer) -> int:
    return sum(len(group["params"]) for group in optimizer.param_groups)


def _trained_labels(batches: list[Batch]) -> Tensor:
    return torch.tensor(sorted({label for batch in batches for label in _trained_on(batch).tolist()}))


def _trained_on(batch: Batch) -> Tensor:
    """Labels of the rows that are not kept out."""
    rows = torch.arange(len(batch.labels)) % KEPT_OUT != KEPT_OUT - 1
    return batch.labels[rows & batch.counted]


def _ranks(logits: Tensor, labels: Tensor, judged: Tensor, trained: Tensor) -> Tensor:
    """(n,): of the other identities trained on, the share whose logit is below the right one's; equal ones are half.

    logits (B, C), labels (B,), judged (B,) bool with n of them True. Each logit is taken as what it is above the mean
    of these rows for that identity: whoever has only learnt which identities come often, or in this batch, guesses.
    """
    if len(trained) < 2 or int(judged.sum()) < 2:
        return torch.empty(0)
    among = logits[judged]
    among = among - among.mean(0)
    right = among.gather(1, labels[judged][:, None])
    among = among[:, trained]
    below = (among < right).sum(1) + 0.5 * ((among == right).sum(1) - 1)
    return below / (len(trained) - 1)


@contextmanager
def _left_as_it_was(device: torch.device) -> Iterator[None]:
    """The random states that their modules may draw from."""
    state: Any = random.getstate()
    numpy = sys.modules.get("numpy")
    of_numpy: Any = numpy.random.get_state() if numpy is not None else None
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(state)
        if numpy is not None:
            numpy.random.set_state(of_numpy)
