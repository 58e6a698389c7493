"""What the ranks other than the first have seen, and how the first learns of it; no torch.

Each of them writes a ledger of its own, `facts-rank1.jsonl` and so on, into a folder that the first reads. Files
outlive the process that wrote them, and reading one asks nothing of anybody: no rank ever waits for a word of ours, and
what a rank saw before it was killed is there.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from math import isfinite
from pathlib import Path

from pydantic import ValidationError

from reid_smoke.facts import (
    AnyFact,
    CrashFacts,
    EndFacts,
    LoaderFacts,
    OutOfMemoryFacts,
    ProbeFault,
    RankEndFacts,
    RankFacts,
    RankStartFacts,
    StepFacts,
    UnreadableFacts,
    fact_from_json,
)
from reid_smoke.ledger import Ledger

FIRST, EVERY = 10, 10  # the steps of another rank that are told: the first ten, and each tenth
CLOCKS = 60.0  # seconds by which the clocks of two machines may differ
PATIENCE = 3.0  # seconds that the first rank waits for the others' last lines

_WANTED = tuple(f'{{"kind":"{kind}"'.encode() for kind in ("rank_start", "step", "loader", "crash", "end",
                                                           "unreadable", "probe_fault", "out_of_memory"))  # fmt: skip
_OF_A_PEER = re.compile(
    r"closed by peer|connection reset|broken pipe|connection refused|timed? ?out|gloo|nccl|rank \d+ .*(failed|barrier)",
    re.IGNORECASE,
)


def rank_file(folder: Path, rank: int) -> Path:
    return folder / f"facts-rank{rank}.jsonl"


def open_rank_ledger(folder: Path, rank: int, ranks: int) -> Ledger:
    """The ledger of a rank other than the first. Raises OSError where it cannot be written."""
    ledger = Ledger(rank_file(folder, rank))
    ledger.add(RankStartFacts(rank=rank, ranks=ranks, host=socket.gethostname(), pid=os.getpid(), started=time.time()))
    return ledger


def is_of_a_peer(crash: CrashFacts) -> bool:
    """It was raised because another rank was gone, and says nothing of its own."""
    return crash.exception.startswith("Dist") or bool(_OF_A_PEER.search(crash.message))


def is_gone(start: RankStartFacts | None) -> bool:
    """Its process ended without a word. Only of a process on this machine can that be told."""
    if start is None or start.host != socket.gethostname():
        return False
    try:
        os.kill(start.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    try:  # killed, and not yet fetched by its parent
        return Path(f"/proc/{start.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


class OtherRanks:
    """The first rank's view of the others.

    folder: where their files lie, or will lie. ranks: how many train, the first included.
    since: `time.time()` at the first rank's start; a file of an earlier training is read over.
    """

    def __init__(self, folder: Path, ranks: int, since: float) -> None:
        self._others = [_Other(rank_file(folder, rank), rank, since) for rank in range(1, ranks)]
        self._own_step = 0

    def read_into(self, ledger: Ledger) -> None:
        """Add what is new. A file that cannot be read now may be read later."""
        for other in self._others:
            for fact in other.read():
                ledger.add(fact)

    def finish_into(self, ledger: Ledger, patience: float = PATIENCE) -> None:
        """Add what is new and how each rank ended, once each has, or after `patience` seconds."""
        until = time.monotonic() + patience
        while True:
            self.read_into(ledger)
            if all(other.is_over() for other in self._others) or time.monotonic() > until:
                break
            time.sleep(0.05)
        own = ledger.last(CrashFacts)
        for other in self._others:
            if other.crash is not None and (own is None or is_of_a_peer(own)) and not is_of_a_peer(other.crash):
                ledger.add(other.crash)
            ledger.add(other.end_facts())

    @property
    def files(self) -> list[Path]:
        return [other.path for other in self._others]


class _Other:
    """The file of one rank, read as it grows."""

    def __init__(self, path: Path, rank: int, since: float) -> None:
        self.path, self.rank, self._since = path, rank, since
        self._forget()

    def _forget(self) -> None:
        self._offset = 0
        self._head = b""
        self._start: RankStartFacts | None = None
        self._condenser = Condenser(self.rank)
        self.crash: CrashFacts | None = None
        self._end: EndFacts | None = None

    def read(self) -> Iterator[AnyFact]:
        """What was written since the last time, condensed."""
        for line in self._lines():
            if not line.startswith(_WANTED):
                continue
            try:
                fact = fact_from_json(line)
            except ValidationError:  # a newer version's, or torn
                continue
            if isinstance(fact, RankStartFacts):
                if fact.rank == self.rank and fact.started >= self._since - CLOCKS:
                    self._start = fact
                    yield fact
            elif self._start is None:
                continue  # of an earlier training
            elif isinstance(fact, CrashFacts):
                self.crash = fact.model_copy(update={"rank": self.rank})
            elif isinstance(fact, EndFacts):
                self._end = fact
                yield from self._condenser.last()
            elif isinstance(fact, OutOfMemoryFacts):
                yield fact.model_copy(update={"rank": self.rank})
            elif isinstance(fact, ProbeFault):
                yield fact.model_copy(update={"probe": f"{fact.probe} on rank {self.rank}"})
            elif isinstance(fact, UnreadableFacts):
                yield fact
            elif isinstance(fact, StepFacts | LoaderFacts):
                yield from self._condenser.add(fact)

    def _lines(self) -> list[bytes]:
        try:
            with self.path.open("rb") as file:
                head = file.read(200)
                if not head.startswith(self._head):
                    self._forget()  # another training has begun to write here
                self._head = head
                file.seek(self._offset)
                text = file.read()
        except OSError:
            return []
        whole = text.rfind(b"\n") + 1
        self._offset += whole
        return text[:whole].splitlines()

    def is_over(self) -> bool:
        return self._end is not None or is_gone(self._start)

    def end_facts(self) -> RankEndFacts:
        step = self._condenser.step
        if self._end is not None:
            return RankEndFacts(rank=self.rank, step=self._end.step, how=self._end.how)
        if self._start is None:
            return RankEndFacts(rank=self.rank, step=step, how="unheard")
        return RankEndFacts(rank=self.rank, step=step, how="killed" if is_gone(self._start) else "running")


class Condenser:
    """Few short records of one rank's steps; see RankFacts for which."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.step = 0
        self._promised: int | None = None
        self._updates = self._images = 0
        self._data_s = self._compute_s = 0.0
        self._before: StepFacts | None = None
        self._held: RankFacts | None = None  # the last step, where it was not told

    def add(self, fact: StepFacts | LoaderFacts) -> Iterator[RankFacts]:
        if isinstance(fact, LoaderFacts):
            self._promised = fact.batches_promised
            return
        before, self._before, self.step = self._before, fact, fact.step
        self._updates += fact.applied
        self._images += fact.batch
        self._data_s += fact.data_s
        self._compute_s += fact.compute_s
        record = RankFacts(
            rank=self.rank,
            step=fact.step,
            step_in_epoch=fact.step_in_epoch,
            batch=fact.batch,
            label_checksum=fact.label_checksum,
            distinct_labels=fact.distinct_labels,
            ce=fact.ce,
            head_norm=fact.head_norm,
            head_grad=fact.head_grad_applied,
            backbone_grad=fact.backbone_grad_applied,
            lr_head=fact.lr_head,
            lr_backbone=fact.lr_backbone,
            applied=fact.applied,
            updates=self._updates,
            images=self._images,
            data_s=self._data_s,
            compute_s=self._compute_s,
            batches_promised=self._promised,
        )
        new = before is None or _kind_of(fact) != _kind_of(before)
        self._held = None
        if new or fact.step <= FIRST or fact.step % EVERY == 0:
            yield record
        else:
            self._held = record

    def last(self) -> Iterator[RankFacts]:
        """The very last step, where it was not told yet."""
        if self._held is not None:
            yield self._held
        self._held = None


def _kind_of(step: StepFacts) -> tuple[int, int, bool]:
    return step.batch, step.epoch, isfinite(step.ce)


def condensed(steps: list[StepFacts], rank: int = 0) -> dict[int, RankFacts]:
    """The first rank's own steps in the same form, all of them, by step."""
    found: dict[int, RankFacts] = {}
    condenser = Condenser(rank)
    for step in steps:
        found.update((record.step, record) for record in (*condenser.add(step), *condenser.last()))
    return found
