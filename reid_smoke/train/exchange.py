"""How ranks average their gradients within a step that one CUDA graph holds.

DistributedDataParallel copies every weight's gradient into its bucket by a launch of its own, and makes all buckets of
one size, so that the step waits for a large one when backward is over. Of a ResNet-50 on two GPUs that is a third of
what they lose to one. Here a bucket is copied in one launch, and the last ones are small. `scripts/bench_ranks.py`
measures it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, repeat
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

MIB = 1 << 20
LAST, BEFORE_IT, OTHERS = 4 * MIB, 24 * MIB, 96 * MIB  # most bytes of a bucket, unless a single weight has more


class Exchange:
    """Of one step."""

    def __init__(self, model: DistributedDataParallel) -> None:
        """Takes as much memory as the gradients, on their device. It must live as long as a graph that recorded it."""
        self._model = model
        self._buckets = [_Bucket(some) for some in buckets_of(list(model.parameters()))]
        self._sent = 0

    @contextmanager
    def averaging(self) -> Iterator[None]:
        """While inside, backward averages the gradients over the default group's ranks, and the model does not; from
        then on `.grad` is the average.

        Raises RuntimeError where a weight was given no gradient: other ranks would wait for it.
        """
        hooks = []
        try:
            for bucket in self._buckets:
                for parameter in bucket.parameters:
                    hook = partial(self._arrived, bucket)
                    hooks.append(parameter.register_post_accumulate_grad_hook(hook))  # type: ignore[no-untyped-call]
            with self._model.no_sync():
                yield
        finally:
            for handle in hooks:
                handle.remove()
        missing = sum(bucket.awaited for bucket in self._buckets)
        if missing:
            raise RuntimeError(f"{missing} parameters took no part in backward, and the ranks wait for their gradients")
        for bucket in self._buckets:
            bucket.receive()

    def _arrived(self, bucket: _Bucket, parameter: Tensor) -> None:
        bucket.awaited -= 1
        # One order on all ranks: each sends a bucket only after those before it.
        while self._sent < len(self._buckets) and not self._buckets[self._sent].awaited:
            self._buckets[self._sent].send()
            self._sent += 1


class _Bucket:
    """Gradients that travel together."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = parameters
        self.awaited = len(parameters)
        first = parameters[0]
        self._flat = torch.empty(sum(p.numel() for p in parameters), dtype=first.dtype, device=first.device)
        parts = torch.split(self._flat, [p.numel() for p in parameters])
        # Laid out as a gradient is, channels-last where the weight is: it is copied straight on, and updated so.
        like = [torch.empty_like(p, device="meta") for p in parameters]
        self._parts = [part.as_strided(p.shape, p.stride()) for part, p in zip(parts, like, strict=True)]
        self._under_way: Any = None  # torch.distributed.Work

    def send(self) -> None:
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        torch._foreach_copy_(self._parts, gradients)
        self._under_way = dist.all_reduce(self._flat, op=dist.ReduceOp.AVG, async_op=True)

    def receive(self) -> None:
        self._under_way.wait()
        for parameter, part in zip(self.parameters, self._parts, strict=True):
            parameter.grad = part


def buckets_of(parameters: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    """In the order in which backward comes by them, the last weight first.

    The last bucket is small: nothing is left to be computed while it travels. Those before it may take their time.
    """
    buckets: list[list[nn.Parameter]] = []
    limits, room = chain((LAST, BEFORE_IT), repeat(OTHERS)), 0
    for parameter in parameters:
        if not parameter.requires_grad:
            continue
        size = parameter.numel() * parameter.element_size()
        if not buckets or size > room or parameter.dtype is not buckets[-1][-1].dtype:
            buckets.append([])
            room = next(limits)
        buckets[-1].append(parameter)
        room -= size
    return [bucket[::-1] for bucket in reversed(buckets)]
