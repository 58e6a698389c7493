"""What is under way: the step whose backward has begun, and the loader that feeds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from reid_smoke.probes.tally import Counted

Measured = dict[str, float | Tensor | Sequence[Tensor]]  # by name; tensors of any size, wherever they lie
MOST_DEEP = 8  # a data set within a data set within ...


@dataclass
class Step:
    """A step that is under way: what was measured on the device, and what the host knows."""

    number: int
    epoch: int
    step_in_epoch: int
    events: str
    data_s: float
    measurements: Measured = field(default_factory=dict)  # what `figures.read_figures` makes the figures of
    classes: int = 0
    updates: int = 0  # optimizer steps that were measured
    lr_head: float | None = None  # None, too, where it lies on the device: it is measured then
    lr_backbone: float | None = None
    clip_at: float | None = None
    applied: bool = False
    head_steps: int = 0
    head_optimizers: set[int] = field(default_factory=set)
    row: Tensor | None = None  # all that was measured in one, where a CUDA graph makes it
    images: Tensor | None = None  # figures of the images, where they were measured
    image_shape: tuple[int, ...] = ()
    own_functions: list[str] = field(default_factory=list)  # of the user's, behind the head, in backward's order
    turned_by: str = ""  # that of them which turned the gradient around
    found_by_holder: set[str] = field(default_factory=set)  # gradients that were read at an optimizer which holds them
    scaled: bool = False
    measured: bool = True
    arrived: float = 0.0
    compute_s: float | None = None

    def add_update(self, changes: dict[str, list[Tensor]]) -> None:
        """What an optimizer changed; of two that step one after the other, each by itself."""
        self.updates += 1
        for name, change in changes.items():
            self.measurements[name] = [*self.tensors(name), *change]

    def tensors(self, name: str) -> Sequence[Tensor]:
        """What was measured of that name so far."""
        return _tensors(self.measurements.get(name, ()))

    def to_row(self) -> Tensor:
        """All that lies on a device, one after another: (numbers,) float32. An int64 goes as two of them, bit by bit:
        that needs no launch, and is exact."""
        parts = [part.detach().reshape(-1) for value in self.measurements.values() for part in _tensors(value)]
        device = self.tensors("classes")[0].device
        bits = [part.view(torch.float32) if part.dtype is torch.int64 else part for part in parts]
        return torch.cat([part.to(device, torch.float32) for part in bits])

    def batches_between(self, numbers: Mapping[str, list[float]], ignored: int) -> list[list[int]]:
        """Labels of the batches that went before this step's and were not measured, but those that count for nothing.
        numbers: as the method of this name gives them."""
        labels = iter(map(int, numbers.get("labels_between", ())))
        batches = (islice(labels, batch.numel()) for batch in self.tensors("labels_between"))
        return [[label for label in batch if label != ignored] for batch in batches]

    def numbers(self, row: Tensor) -> dict[str, list[float]]:
        """By name what `to_row` put into the row, and beside it what was a number all the time. row: on the host."""
        found: dict[str, list[float]] = {}
        begin, bits = 0, row.numpy()
        numbers = bits.tolist()
        for name, value in self.measurements.items():
            parts = _tensors(value)
            whole = bool(parts) and parts[0].dtype is torch.int64
            end = begin + sum(part.numel() for part in parts) * (2 if whole else 1)
            if isinstance(value, float):
                found[name] = [value]
            else:
                found[name] = bits[begin:end].view(np.int64).tolist() if whole else numbers[begin:end]
            begin = end
        return found

    def skip(self, times: int) -> None:
        """So many of its optimizer steps changed nothing, as the device found out after they were noted."""
        self.events = self.events.replace("s", "k", times)
        self.applied = "s" in self.events
        if not self.applied:
            self.head_steps, self.head_optimizers = 0, set()


def _tensors(value: float | Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    if isinstance(value, float):
        return ()
    return (value,) if isinstance(value, Tensor) else value


@dataclass(frozen=True)
class Recorded:
    """A step that a CUDA graph recorded: what each replay does again."""

    step: Step
    counts: Counter[Counted]


@dataclass
class Loader:
    """The iterator that last gave a batch."""

    key: int = 0
    epoch: int = 0
    given: int = 0
    promised: int | None = None
    fed: int = 0  # steps that its batches went into
    sampler: int = 0  # id of what draws its batches
    images: int | None = None  # of its dataset
    parts: tuple[int, ...] = ()  # of the dataset, where it is put together from several
    batch_size: int | None = None  # as what draws its batches has it

    @property
    def place(self) -> int:
        """The batch of this step, from 1: a prefetcher has fetched more; one batch may go backward twice."""
        return min(self.given, self.fed)


def sampler_of(iterator: object) -> int:
    """What draws the batches of a DataLoader's iterator, the same object in every epoch; 0 where it has none."""
    sampler = getattr(iterator, "_index_sampler", None)
    return id(sampler) if sampler is not None else 0


def batch_size_of(iterator: object) -> int | None:
    """Images a batch, as a DataLoader's batch sampler has it; None: it has none of that name."""
    size = getattr(getattr(iterator, "_index_sampler", None), "batch_size", None)
    return size if isinstance(size, int) else None


def images_of_dataset(iterator: object) -> int | None:
    """`len` of the dataset behind a DataLoader's iterator; None: it has none."""
    try:
        return len(iterator._dataset)  # type: ignore[attr-defined]  # every one of torch's has it
    except Exception:  # an iterable dataset, or one whose __len__ is broken: theirs to find out
        return None


def parts_of_dataset(iterator: object) -> tuple[int, ...]:
    """`len` of each data set that a ConcatDataset, or one written alike, is put together from."""
    try:
        dataset = iterator._dataset  # type: ignore[attr-defined]
        for _ in range(MOST_DEEP):  # some have themselves in the place of what they hold
            inner = vars(dataset).get("dataset")  # of a Subset, or a data set with transforms
            if inner is None:
                break
            dataset = inner
        parts = vars(dataset).get("datasets")
        return tuple(map(len, parts)) if isinstance(parts, (list, tuple)) and len(parts) > 1 else ()
    except Exception:  # theirs, and not as we guessed
        return ()
