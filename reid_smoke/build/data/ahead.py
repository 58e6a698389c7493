"""Decode the next batches in threads while the present one is trained on.

For a GPU alone: Pillow decodes outside of Python's lock, and a GPU leaves the processor's cores free. On a CPU these
threads would take the cores from the training itself.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from torch.utils.data import Sampler

from reid_smoke.build.data.samplers import BatchPlan, BatchSampler, RankSampler

BATCHES_AHEAD = 16
MOST_THREADS = 12

T = TypeVar("T")


class Ahead(Generic[T]):
    """Calls `prepare(plan)` in a thread as soon as a plan is known, and hands the result out when it is asked for."""

    def __init__(self, prepare: Callable[[BatchPlan], T]) -> None:
        threads = max(1, min(MOST_THREADS, (os.cpu_count() or 2) - 1))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reid-smoke-decode")
        self._prepare = prepare
        self._started: dict[int, Future[T]] = {}  # by the plan's seed, which no other batch has

    def start(self, plan: BatchPlan) -> None:
        self._started[plan.seed] = self._pool.submit(self._prepare, plan)

    def take(self, plan: BatchPlan) -> T:
        """The prepared batch; made now where nobody started it. Raises what `prepare` raised."""
        started = self._started.pop(plan.seed, None)
        return self._prepare(plan) if started is None else started.result()

    def drop(self, plan: BatchPlan) -> None:
        """Nobody will take it."""
        started = self._started.pop(plan.seed, None)
        if started is not None:
            started.cancel()


class LookingAhead(Sampler[BatchPlan]):
    """A sampler that yields what `sampler` yields, and starts the batches behind each."""

    def __init__(self, sampler: BatchSampler | RankSampler, ahead: Ahead[T]) -> None:
        self._sampler, self._ahead = sampler, ahead

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[BatchPlan]:
        waiting: deque[BatchPlan] = deque()
        try:
            for plan in self._sampler:
                self._ahead.start(plan)
                waiting.append(plan)
                if len(waiting) > BATCHES_AHEAD:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:  # an epoch that is broken off
            for plan in waiting:
                self._ahead.drop(plan)
