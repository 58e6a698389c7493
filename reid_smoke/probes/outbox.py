"""Figures on their way from the device to the host, in the order of their steps, without anybody waiting for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from reid_smoke.probes.under_way import Step

SLOTS = 64  # rows under way from a GPU
TOGETHER = 20  # rows that another device's are fetched in


class _Sent(NamedTuple):
    step: Step
    row: Tensor  # on the host, where it has arrived
    arrival: torch.cuda.Event | None


class Outbox:
    """A GPU copies each row into pinned memory by itself, behind what it computes; nothing is read before that."""

    def __init__(self) -> None:
        self._sent: deque[_Sent] = deque()
        self._slots: Tensor | None = None  # (SLOTS, numbers), pinned
        self._count = 0

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def pinned(self) -> list[Tensor]:
        """Memory of the host that a GPU copies to."""
        images = (step.images for step, _, arrival in self._sent if arrival is not None)
        return [tensor for tensor in (self._slots, *images) if tensor is not None]

    @property
    def is_full(self) -> bool:
        return len(self._sent) >= (SLOTS if self._slots is not None else TOGETHER)

    def put(self, step: Step, row: Tensor) -> None:
        """row: (numbers,) float32 on any device. Whoever puts takes out before it is full."""
        if row.device.type != "cuda":
            self._sent.append(_Sent(step, row, None))
            return
        if self._slots is None or self._slots.shape[1] < row.numel():  # rows under way keep the memory that they have
            self._slots = torch.empty(SLOTS, row.numel(), pin_memory=True)
        slot = self._slots[self._count % SLOTS, : row.numel()]
        self._count += 1
        slot.copy_(row, non_blocking=True)
        if step.images is not None:
            host = torch.empty(step.images.shape, pin_memory=True)
            step.images = host.copy_(step.images, non_blocking=True)
        arrival = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch ships no type for it
        arrival.record()
        self._sent.append(_Sent(step, slot, arrival))

    def take(self, *, wait: bool) -> Iterator[tuple[Step, Tensor]]:
        """What has arrived, oldest first; with `wait` everything. A row on the host, to be read at once."""
        while self._sent:
            step, row, arrival = self._sent[0]
            if arrival is not None:
                if wait:
                    arrival.synchronize()
                elif not arrival.query():  # type: ignore[no-untyped-call]  # torch ships no type for it
                    return
            elif row.device.type != "cpu" and not wait and not self.is_full:
                return
            self._sent.popleft()
            yield step, row.cpu()
