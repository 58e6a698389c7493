"""Keep the first batches of a watched training as they reach its modules, and its parts before the first step.

It changes nothing of the training: arguments are copied, no number is drawn, and its one hook (around every module's
call) is taken away as soon as enough is kept. Copies lie in the host's memory, whatever the device.

A batch is complete when its classification loss goes backward. Where none ever does, because backward was forgotten or
the logits were detached, what the loss was given is kept before another loss goes backward or an optimizer steps.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from reid_smoke.probes.batch import Batch as CrossEntropyBatch
from reid_smoke.probes.classifier import scale_of_logits
from reid_smoke.probes.cross_entropy import read_batch
from reid_smoke.probes.groups import held_by
from reid_smoke.probes.log_softmax import log_softmax_of
from reid_smoke.probes.nodes import Node, follow, root_of
from reid_smoke.probes.observer import Observer
from reid_smoke.probes.structure import Structure, read_structure
from reid_smoke.triage.replay_kept import (
    MOST_BATCHES,
    MOST_BYTES,
    Batch,
    Call,
    CannotReplay,
    Given,
    Kept,
    Parts,
    batch_bytes,
    replaced,
    tensors_in,
)

MOST_BACKWARDS = 200  # without a batch worth keeping, after which it is given up


class Keeper:
    """Between `start` and the moment when enough is kept it listens to all modules and to every backward.

    observer: knows the training's structure at a backward, and tells of losses. Start this before the observer's hooks
        are put up, so that those stand around it and the observer has looked first.
    say: told in a sentence what is kept.
    """

    def __init__(self, observer: Observer, say: Callable[[str], None]) -> None:
        self._observer, self._say = observer, say
        self._parts: Parts | None = None
        self._batches: list[Batch] = []
        self._device = torch.device("cpu")
        self._calls: list[Call] = []
        self._results: list[Any] = []
        self._known: dict[int, Given] = {}  # by the id of a tensor that a call returned
        self._broken: set[int] = set()  # calls that were given what plain functions computed
        self._depth = 0
        self._thread = threading.get_ident()
        self._backwards = 0
        self._loss: tuple[Tensor, Tensor, int] | None = None  # logits, labels, ignore_index: the step's first
        self._walked: Structure | None = None  # what the last of these found
        self._never_backward = False  # what is kept are such losses as did not go backward
        self._is_second_step = False  # since a classification went backward
        self._undo: list[Callable[[], None]] = []
        self._close: Callable[[], None] = lambda: None
        self._originals: list[nn.Module] = []
        self._optimizers: list[Optimizer] = []  # theirs, in the order of the copies
        self._stepped: set[int] = set()  # ids of those that did
        self.why_not = "no batch was kept: no classification loss went backward"

    # --- at their modules ---

    def start(self) -> None:
        original, original_backward = nn.Module.__call__, torch.autograd.backward

        @functools.wraps(original)
        def call(module: Any, *args: Any, **kwargs: Any) -> Any:
            if torch.compiler.is_compiling() or threading.get_ident() != self._thread:
                return original(module, *args, **kwargs)
            outermost, self._depth = self._depth == 0, self._depth + 1
            noted = outermost and torch.is_grad_enabled() and self._note(module, args, kwargs)
            try:
                result = original(module, *args, **kwargs)
            finally:
                self._depth -= 1
            if noted:
                self._remember(result)
            return result

        keeper = weakref.ref(self)  # what stands at backward may be known to torch.jit, which never forgets it

        @_disable_dynamo
        @functools.wraps(original_backward)
        def backward(*args: Any, **kwargs: Any) -> Any:
            listener = keeper()
            if listener is None:
                return original_backward(*args, **kwargs)
            return listener._around_backward(original_backward, args, kwargs)

        nn.Module.__call__ = call  # type: ignore[method-assign]
        torch.autograd.backward = backward

        def restore_call() -> None:
            if nn.Module.__call__ is call:
                nn.Module.__call__ = original  # type: ignore[method-assign]

        def restore_backward() -> None:
            if torch.autograd.backward is backward:
                torch.autograd.backward = original_backward

        self._undo.append(restore_call)
        self._observer.on_loss = self._at_loss
        self._undo.append(lambda: setattr(self._observer, "on_loss", None))
        at_step = register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: self._at_step(optimizer))

        def close() -> None:
            at_step.remove()  # not in `stop`: hooks must not be taken away while they are called
            restore_backward()

        self._close = close

    def _around_backward(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            if self._undo:
                self._at_backward(args[0] if args else kwargs.get("tensors"))
        except CannotReplay as reason:
            self._give_up(str(reason))
        except Exception as failure:
            self._give_up(f"by a fault of reid-smoke: {type(failure).__name__}: {failure}")
        self._depth += 1  # checkpointing calls modules again while backward runs: no calls of the script's
        try:
            return original(*args, **kwargs)
        finally:
            self._depth -= 1

    def stop(self) -> None:
        """Listen no more. What stands around backward and before steps does nothing, until `close`."""
        if self._undo and self._batches:
            self._tell()
        while self._undo:
            self._undo.pop()()
        self._forget_step()

    def close(self) -> None:
        """Take everything away, after the observer's hooks were."""
        self.stop()
        self._close()

    def let_go(self, why: str) -> None:
        """What was kept is not what was judged."""
        self._parts, self._batches, self.why_not = None, [], why

    def kept(self) -> Kept:
        """Raises CannotReplay, with the reason."""
        if self._parts is None or not self._batches:
            raise CannotReplay(self.why_not)
        originals: list[Tensor] = [p for module in self._originals for p in module.parameters()]
        parts = replace(self._parts, optimizers=self._those_that_step())
        return Kept(parts, self._batches, self._device, originals, self._never_backward)

    def _those_that_step(self) -> list[Optimizer]:
        """The copies, less those of optimizers that never step while others step all that they hold.

        A scheduler keeps alive the optimizer that it was built with, also when the loop has another by then.
        """
        assert self._parts is not None
        steps = [id(optimizer) in self._stepped for optimizer in self._optimizers]
        held = [held_by([optimizer]) or frozenset() for optimizer in self._parts.optimizers]
        stepped = frozenset().union(*(held[at] for at, does in enumerate(steps) if does))
        return [
            o for o, does, holds in zip(self._parts.optimizers, steps, held, strict=True) if does or holds - stepped
        ]

    def _note(self, module: nn.Module, args: Any, kwargs: Any) -> bool:
        try:
            if type(module).__name__ == "OptimizedModule":
                raise CannotReplay("the model is compiled: run the script without torch.compile to have it replayed")
            if len(self._calls) > 64:  # modules that are called without any backward
                self._forget_step()
            index = len(self._calls)

            def copied(tensor: Tensor) -> Any:
                if not tensor.requires_grad:
                    return tensor.detach().to("cpu", copy=True)
                given = self._known.get(id(tensor))
                if given is None and not tensor.is_leaf:
                    self._broken.add(index)
                return given if given is not None else tensor

            self._calls.append(Call(module, replaced(args, copied), replaced(kwargs, copied)))
            return True
        except CannotReplay as reason:
            self._give_up(str(reason))
        except Exception as failure:
            self._give_up(f"what the model is given cannot be copied ({type(failure).__name__}: {failure})")
        return False

    def _remember(self, result: Any) -> None:
        call = len(self._calls) - 1
        self._results.append(result)  # alive until backward, so that no other tensor gets the id of one of these
        for way, tensor in tensors_in(result):
            self._known.setdefault(id(tensor), Given(call, way))

    def _forget_step(self) -> None:
        self._calls, self._results = [], []
        self._known.clear()
        self._broken.clear()
        self._loss = None
        self._is_second_step = False

    def _give_up(self, why: str) -> None:
        if not self._batches:
            self.why_not = why
            self._parts = None
        self.stop()

    # --- at backward ---

    def _at_backward(self, tensors: object) -> None:
        self._backwards += 1
        if self._backwards > MOST_BACKWARDS:
            self._give_up(self.why_not)
            return
        structure, root = self._observer.structure, root_of(tensors)
        batch = self._batch_behind(structure, root) if structure is not None and root is not None else None
        if structure is None or root is None or batch is None:
            self._keep_loss()  # while its graph is there: what fed this other loss may feed the identity loss, too
            return
        if self._never_backward:  # but now one does, and that is what they train
            self._parts, self._batches, self._never_backward = None, [], False
        self._keep(structure, root, batch)
        self._forget_step()

    @staticmethod
    def _batch_behind(structure: Structure, root: Node) -> CrossEntropyBatch | None:
        consumer = follow(root, structure.classification.path)
        return read_batch(consumer) if consumer is not None else None

    def _keep(self, structure: Structure, root: Node, batch: CrossEntropyBatch) -> None:
        """Keep the batch of the classification behind `root`. Raises CannotReplay."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            raise CannotReplay("the training runs in several processes: start it in one to have it replayed")
        if self._parts is None:
            self._device = batch.log_probs.device
            self._parts = self._copy_parts(structure)
        log_softmax = log_softmax_of(follow(root, structure.classification.path))
        logits, scale = self._find_logits(log_softmax, structure.classification.product_path, batch.log_probs.shape)
        last = logits.call if logits is not None else self._loss_call(root)
        wanted = self._needed(last)
        kept = Batch(
            calls=tuple(self._calls[: last + 1]) if wanted is None else wanted,
            labels=batch.labels.cpu(),
            counted=batch.counted.cpu(),
            num_classes=batch.log_probs.shape[1],
            logits=logits,
            scale=scale,
        )
        self._batches.append(kept)
        size = sum(batch_bytes(one) for one in self._batches)
        if len(self._batches) == MOST_BATCHES or size + batch_bytes(kept) > MOST_BYTES:
            self.stop()

    def _tell(self) -> None:
        mib = self.kept().bytes() / 2**20
        s = "" if len(self._batches) == 1 else "es"
        self._say(f"kept {len(self._batches)} batch{s} and the model's start for the trials: {mib:.3g} MiB")

    def _copy_parts(self, structure: Structure) -> Parts:
        live = structure.live
        parts = Parts([module for _, module in live.roots], live.optimizers, structure.head).copy()
        for module in parts.modules:
            module.to("cpu")  # keeps each Parameter, so that the optimizers' copies still hold them
        # Only modules are asked for again.
        parts.copies = {key: value for key, value in parts.copies.items() if isinstance(value, nn.Module)}
        self._optimizers = list(live.optimizers)
        self._originals = [module for _, module in live.roots]  # alive, so that no other module gets an id of theirs
        return parts

    # --- where no classification goes backward ---

    def _at_loss(self, logits: Tensor, labels: Tensor, ignore_index: int) -> None:
        """A classification loss is about to be computed."""
        trains = torch.is_grad_enabled() and threading.get_ident() == self._thread
        if self._loss is None and trains and logits.dim() == 2 and not labels.is_floating_point():
            self._loss = logits, labels, ignore_index

    @_disable_dynamo
    def _at_step(self, optimizer: Optimizer) -> None:
        """An optimizer is about to step."""
        self._stepped.add(id(optimizer))
        if not self._undo:
            return
        try:
            self._keep_loss()
        except Exception as failure:
            self._give_up(f"by a fault of reid-smoke: {type(failure).__name__}: {failure}")
        if self._is_second_step:  # another optimizer may step between the forward and its backward, but not twice
            self._forget_step()
        else:
            self._is_second_step = True

    def _keep_loss(self) -> None:
        """Keep the batch of the step's classification loss: had it gone backward, it would be forgotten by now."""
        if self._loss is None or (self._batches and not self._never_backward):
            return
        logits, labels, ignore_index = self._loss
        attached = logits if logits.requires_grad else self._attached(logits)
        root: Node | None = None
        if attached is not None:
            with torch.enable_grad():
                root = F.cross_entropy(attached, labels, ignore_index=ignore_index).grad_fn
        self._loss = None  # after that one, of which the observer tells, too
        structure = read_structure(root, 1, self._walked) if root is not None else None
        batch = self._batch_behind(structure, root) if structure is not None and root is not None else None
        if structure is None or root is None or batch is None:
            return
        self._walked, self._never_backward = structure, True
        try:
            self._keep(structure, root, batch)
        except CannotReplay as reason:
            self.why_not = str(reason)
            self._observer.on_loss = None  # the next would be refused as well; one that goes backward may not

    def _attached(self, logits: Tensor) -> Tensor | None:
        """What a call returned and these are detached from: it lies in the same memory."""
        for result in self._results:
            for _, tensor in tensors_in(result):
                if tensor.requires_grad and tensor.shape == logits.shape and tensor.data_ptr() == logits.data_ptr():
                    return tensor
        return None

    def _find_logits(
        self, log_softmax: Node, path: tuple[int, ...] | None, shape: torch.Size
    ) -> tuple[Given | None, float]:
        """The result of a call that is nearest above the classifier's product, and what multiplies it after that."""
        returned: dict[Node, Given] = {}
        for call, result in enumerate(self._results):
            for way, tensor in tensors_in(result):
                if tensor.grad_fn is not None and tensor.shape == shape:
                    returned.setdefault(tensor.grad_fn, Given(call, way))
        node: Node | None = log_softmax
        for steps, index in enumerate(path or (0,)):
            if node is None:
                break
            node = follow(node, (index,))
            if node in returned:
                return returned[node], scale_of_logits(log_softmax, (path or (0,))[: steps + 1])
        return None, 1.0

    def _loss_call(self, root: Node | None) -> int:
        """The call that computed the loss inside."""
        behind: set[Node] = set()
        queue = [root]
        while queue and len(behind) < 64:
            node = queue.pop(0)
            if node is not None and node not in behind:
                behind.add(node)
                queue += [child for child, _ in node.next_functions]
        for call in reversed(range(len(self._results))):
            if any(t.grad_fn is not None and t.grad_fn in behind for _, t in tensors_in(self._results[call])):
                return call
        raise CannotReplay("the logits are computed by plain functions between or behind the modules, not by a module")

    def _needed(self, last: int) -> tuple[Call, ...] | None:
        """The calls that lead up to `last`. Those before it that it does not need are left out by emptying them."""
        needed = {last}
        for index in range(last, -1, -1):
            if index not in needed:
                continue
            if index in self._broken:
                raise CannotReplay("plain functions compute what one module hands to the next")
            call = self._calls[index]
            if self._parts is not None and self._parts.of(call.module) is None:
                raise CannotReplay(f"{type(call.module).__name__} was not among the modules that could be copied")

            def need(leaf: Any) -> Any:
                if isinstance(leaf, Given):
                    needed.add(leaf.call)
                return leaf

            replaced((call.args, call.kwargs), need)
        if len(needed) == last + 1:
            return None
        nothing = Call(nn.Identity(), (None,), {})
        return tuple(self._calls[i] if i in needed else nothing for i in range(last + 1))
