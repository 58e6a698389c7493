"""The labels: how often each came up, and what a GPU's loss was given just before it died."""

from __future__ import annotations

import weakref
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from reid_smoke.facts import LabelFacts
from reid_smoke.probes.batch import IGNORED

WHOLE = (torch.int64, torch.int32)
CALLED = ("pid", "label", "target", "identit")  # as labels are, where a batch is a dict


class LabelCounts:
    """Counts of the labels that went through the loss."""

    def __init__(self) -> None:
        self._counts: list[int] = []  # of each class
        self._draws = 0  # distinct labels, summed over batches
        self._ignored = -100

    def add(self, labels: Sequence[int], classes: int, *, ignored: int = -100) -> None:
        """The labels of a batch, under a head of so many classes. A head of another width starts anew.

        ignored: the label of rows that do not count, which is nobody's, and not missed.
        """
        self._ignored = ignored
        if len(self._counts) != classes:
            self._counts, self._draws = [0] * classes, 0
        for label in labels:
            if 0 <= label < classes:  # on some devices another one is no error, but what the loss then does is
                self._counts[label] += 1
        self._draws += len(set(labels))

    def facts(self, step: int) -> LabelFacts | None:
        """None before the first batch."""
        counts = self._counts
        if not counts:
            return None
        most = max(counts)
        never = [label for label, count in enumerate(counts) if not count and label != self._ignored]
        return LabelFacts(
            step=step,
            num_classes=len(counts),
            images=sum(counts),
            seen=len(counts) - len(never),
            draws=self._draws,
            unseen_examples=tuple(never[:8]),
            most_frequent=counts.index(most),
            most_frequent_images=most,
            histogram=tuple(sorted(Counter(counts).items())),
        )


class LabelsBeforeLoss:
    """The labels of the last losses on a GPU, brought to the host before the loss looks at them.

    A label out of range is a device-side assertion there, after which the GPU answers nothing any more. But what went
    before the loss in the same stream has arrived: the labels lie in the host's memory when the error is raised.

    Of a loss that is written by hand nobody tells. But its labels were on the host when the loader gave them.

    classes: of the judged head; None as long as that is not known.
    """

    LOSSES = 16  # the error is raised some launches after the loss that it belongs to
    BATCHES = 4  # the same, where a prefetcher is one ahead
    MOST = 1 << 16  # labels of one loss; what has more is no loss of identities

    def __init__(self) -> None:
        self.classes: int | None = None
        self._given: deque[tuple[Tensor, int, int]] = deque(maxlen=self.LOSSES)  # labels, the ignored one, classes
        self._fetched: deque[Tensor] = deque(maxlen=self.BATCHES)
        self._last: weakref.ref[Tensor] | None = None  # the labels of the last loss
        self._how = (-1, IGNORED, 0)  # they were noted: their version, -1 where torch counts none, and as above

    def note(self, logits: Tensor, labels: Tensor, ignore_index: int) -> None:
        """logits (B, C, ...) and labels (B, ...) int64, on a GPU as a rule. Nothing waits for it.

        Of several heads that are given the same labels, one after the other, they are brought once.
        """
        if labels.is_floating_point() or not 0 < labels.numel() <= self.MOST:
            return
        if labels.is_cuda and torch.cuda.is_current_stream_capturing():
            return
        classes = logits.shape[1] if logits.dim() > 1 else logits.shape[0]
        how = (-1 if labels.is_inference() else labels._version, ignore_index, classes)
        if self._last is not None and self._last() is labels and self._how == how and how[0] >= 0:
            return  # another head's, and nobody has written to them since
        self._last, self._how = weakref.ref(labels), how
        host = self._given.popleft()[0] if len(self._given) == self.LOSSES else None
        if host is None or host.shape != labels.shape or host.dtype != labels.dtype:
            host = torch.zeros(labels.shape, dtype=labels.dtype, pin_memory=labels.is_cuda)
        host.copy_(labels.detach(), non_blocking=True)
        self._given.append((host, ignore_index, classes))

    @property
    def pinned(self) -> list[Tensor]:
        """Memory of the host that a GPU copies to."""
        return [host for host, _, _ in self._given]

    def fetched(self, batch: object) -> None:
        """A loader gave this batch."""
        labels = _labels_in(batch)
        if labels is not None and labels.numel() <= self.MOST:
            self._fetched.append(labels)

    def bad(self, widths: Collection[int] = ()) -> tuple[tuple[int, ...], int | None]:
        """The least and the largest label of the latest loss that had one outside 0..C-1, where they are, and C.

        widths: of what may be logits, where no head is known yet. The widest that the labels do not fit is them:
        a narrower one is a feature.
        """
        for host, ignored, classes in reversed(self._given):
            wrong = _outside(set(host.flatten().tolist()) - {ignored}, classes)
            if wrong:
                return wrong, classes
        for host in reversed(self._fetched):
            labels = set(host.flatten().tolist())
            for width in sorted(widths, reverse=True) if self.classes is None else (self.classes,):
                wrong = _outside(labels, width)
                if wrong:
                    return wrong, width
        return (), None


def _outside(labels: set[int], classes: int) -> tuple[int, ...]:
    wrong = {label for label in (min(labels, default=0), max(labels, default=0)) if not 0 <= label < classes}
    return tuple(sorted(wrong))


def _labels_in(batch: object) -> Tensor | None:
    """(B,) whole numbers on the host: the first of a batch, which are its identities, cameras and the like after them;
    of several that have names the one that is called so."""
    if isinstance(batch, Mapping):
        named = sorted(batch.items(), key=lambda item: not any(word in str(item[0]).lower() for word in CALLED))
        parts: Iterable[object] = (part for _, part in named)
    else:
        parts = batch if isinstance(batch, (list, tuple)) else ()
    tensors = (part for part in parts if isinstance(part, Tensor))
    return next((t for t in tensors if t.dtype in WHOLE and t.dim() == 1 and t.device.type == "cpu"), None)
