"""A whole training step as one CUDA graph.

A GPU does a ResNet-50's step at batch 64 in half the time that Python takes to ask for it, kernel by kernel. Captured
once, the step is asked for in one go. Whatever watched the capture is part of it, and is computed again at each replay.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from reid_smoke.build.own_loss import OwnLoss
from reid_smoke.build.training import Training
from reid_smoke.train.exchange import Exchange
from reid_smoke.train.learner import Learner

WARM_UP = 6  # steps made one by one first: libraries choose their ways, and the structure is looked at closely
# DistributedDataParallel sorts its buckets anew after the first step, and takes the time of some, up to the tenth.
WARM_UP_OF_RANKS = 11
RUN_AHEAD = 8  # steps that the host may be ahead: the GPU is busy while it judges, and no verdict comes late by more


def why_one_by_one(training: Training) -> str | None:
    """Why this training's step cannot be captured; None where it can."""
    if training.device.type != "cuda":
        return "only a GPU captures"
    if training.forward is not None:
        return "the model is called with more than images, or is not ours: its steps may differ"
    if isinstance(training.loss, OwnLoss):
        return "the loss is not ours: its steps may differ"
    if training.scaler is not None:
        return "fp16's GradScaler asks at each step whether a gradient overflowed"
    if training.config.train.accumulate > 1:
        return "with accumulation not every step is the same"
    return None


def choose_learner(training: Training) -> Learner | CapturedLearner:
    """The quickest way that this training can be done in."""
    return Learner(training) if why_one_by_one(training) is not None else CapturedLearner(training)


@cache
def stream_of_steps(device: torch.device) -> torch.cuda.Stream:
    """The stream on which steps are asked for: on the default one no graph can be recorded."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch ships no type for it


@contextmanager
def where_steps_are(device: torch.device) -> Iterator[None]:
    """On that stream, after what the current one was asked for before, and before what it is asked for later."""
    stream, current = stream_of_steps(device), torch.cuda.current_stream(device)
    stream.wait_stream(current)
    with torch.cuda.stream(stream):
        yield
    current.wait_stream(stream)


class CapturedLearner:
    """Does what `Learner` does; after the steps that warm it up as one graph. Of several ranks each records its own,
    with the exchange of the gradients in it (see exchange.py).

    `fell_back`: why it went on kernel by kernel after all; None where it did not.
    """

    def __init__(self, training: Training) -> None:
        self._learner = Learner(training)
        self._model = training.model
        self._exchange: Exchange | None = None  # it has the memory in which the graph writes gradients
        self._optimizer = training.optimizer
        self._warm_up = WARM_UP_OF_RANKS if isinstance(training.model, DistributedDataParallel) else WARM_UP
        self._device = training.device
        self._graph: torch.cuda.CUDAGraph | None = None
        self._images = self._labels = torch.empty(0)  # what the graph reads
        self._done: deque[torch.cuda.Event] = deque()
        self.fell_back: str | None = None

    def __call__(self, step: int, images: Tensor, labels: Tensor) -> None:
        if self._graph is None and step > self._warm_up and self.fell_back is None:
            self._capture(images, labels)
        if self._graph is None or images.shape != self._images.shape:  # a smaller last batch is no part of the graph
            self._one_by_one(step, images, labels)
        else:
            self._images.copy_(images)
            self._labels.copy_(labels)
            self._graph.replay()
            self._learner.schedule()
        self._wait_a_little()

    def _one_by_one(self, step: int, images: Tensor, labels: Tensor) -> None:
        with where_steps_are(self._device):  # as the capture will be: gradients remember where they were made
            self._learner(step, images, labels)

    def _capture(self, images: Tensor, labels: Tensor) -> None:
        """Record a step; nothing is computed by that."""
        self._images, self._labels = images.clone(), labels.clone()
        for group in self._optimizer.param_groups:
            # A number would be the graph's for ever, a tensor follows a schedule.
            group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32, device=images.device)
        self._optimizer.zero_grad(set_to_none=True)  # the graph's backward is to write gradients, not to add to some
        graph = torch.cuda.CUDAGraph()
        try:
            self._exchange = Exchange(self._model) if isinstance(self._model, DistributedDataParallel) else None
            # Threads that decode the next batches may take pinned memory meanwhile, and NCCL's own looks after what was
            # sent: only this one is forbidden to.
            with torch.cuda.graph(graph, stream=stream_of_steps(self._device), capture_error_mode="thread_local"):
                self._record()
        except Exception as error:  # a model that asks the GPU for a number, say: it is trained as it is
            torch.cuda.synchronize()
            lines = str(error).strip().splitlines()
            self.fell_back = f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
            self._optimizer.zero_grad(set_to_none=True)
            self._images = self._labels = torch.empty(0)
            self._exchange = None
        else:
            self._graph = graph

    def _record(self) -> None:
        with self._exchange.averaging() if self._exchange is not None else nullcontext():
            self._learner.add_gradients(self._images, self._labels)
        self._learner.update()

    def _wait_a_little(self) -> None:
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch ships no type for it
        event.record()
        self._done.append(event)
        if len(self._done) > RUN_AHEAD:
            self._done.popleft().synchronize()
