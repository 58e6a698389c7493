"""What the processes that the script started by torch.multiprocessing wrote of their trainings; no torch.

Judged is where the training is: in the script's own process, or in those of the launch that made the most steps. Of
these the first is judged as rank 0, and the others are its ranks where all of them joined one process group.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import ValidationError

from reid_smoke.facts import (
    AnyFact,
    BaselineFacts,
    CrashFacts,
    EndFacts,
    GroupFacts,
    LoopFacts,
    ProbeFault,
    RankStartFacts,
    RunFacts,
    StartedFacts,
    fact_from_json,
)
from reid_smoke.folder import PROCESSES
from reid_smoke.ledger import Ledger
from reid_smoke.rank_files import PATIENCE, OtherRanks, is_gone, rank_file

OF_OUR_OWN = (RunFacts, BaselineFacts, RankStartFacts, GroupFacts, StartedFacts)  # and not of the training
Seen: TypeAlias = tuple[int, int, int, bool]
HOOKS = "hooks"  # the probe of a fault by which a process is not watched at all
NOTHING: Seen = (0, 0, 0, False)


@dataclass(frozen=True)
class Judged:
    """A training in processes that the script started."""

    facts: Sequence[AnyFact]  # of its first process, without its plan
    ranks: int
    others: OtherRanks | None
    notes: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    unclassified: dict[str, int] = field(default_factory=dict)


class Launched:
    """folder: where each launch has a folder of its own, named by its number. since: `time.time()` at the start."""

    def __init__(self, folder: Path, since: float) -> None:
        self.folder = folder
        self._since = since
        self._sizes: list[int] = []
        self._not_joined: set[int] = set()  # pids

    def add(self, processes: int) -> int:
        """A launch of so many begins. Returns its number, from 1."""
        self._sizes.append(processes)
        with suppress(OSError):  # they will find no folder, and train unwatched
            self._folder_of(len(self._sizes)).mkdir(parents=True, exist_ok=True)
        return len(self._sizes)

    @classmethod
    def found(cls, folder: Path) -> Launched:
        """What lies there of a run that never came to its end."""
        launched = cls(folder, since=0.0)
        while (launch := launched._folder_of(len(launched._sizes) + 1)).is_dir():
            starts = [_Record(file).start for file in launch.iterdir()]
            launched._sizes.append(max((start.ranks for start in starts if start is not None), default=1))
        return launched

    def leave(self, pids: Iterable[int]) -> None:
        """A launch did not wait for its processes."""
        self._not_joined.update(pids)

    def judged(self, own: Ledger, *, failed: bool) -> tuple[Judged | None, tuple[str, ...]]:
        """What is to be judged in the place of the script's own process, or None; and notes where it is None.

        own: what that one saw. failed: an exception ended it. Those to be judged that still run are waited for some
        seconds; where `own` has no end, either, they are taken as they are.
        """
        launches = [_Launch(self._folder_of(n), size) for n, size in enumerate(self._sizes, 1)]
        best = max(launches, key=lambda launch: launch.seen, default=None)
        if best is None:
            return None, ()
        mine = _seen(own)[:3]
        if not mine[0] and not any(best.seen):
            return None, tuple(note for launch in launches for note in launch.unwatched())
        # What ended the script's own process was raised in one of those, more often than not, and does not count.
        if best.seen <= (*mine, False):
            return None, tuple(_of_several(mine[0], launches))
        several = tuple(_of_several(mine[0], launches))
        if own.last(EndFacts) is None:
            return best.judged(self._since, several), ()
        best = best.at_its_end()
        return best.judged(self._since, several, how="interrupted" if failed or not best.is_over else None), ()

    @property
    def is_alive(self) -> bool:
        """Whether python would wait for one of them at its end."""
        if not self._not_joined:
            return False  # and torch may never have been imported
        from multiprocessing import active_children

        return any(process.pid in self._not_joined and not process.daemon for process in active_children())

    def _folder_of(self, launch: int) -> Path:
        return self.folder / str(launch)


class _Record:
    """What one process has written until now."""

    def __init__(self, file: Path) -> None:
        self.facts = list(_facts_in(file))
        self.ledger = Ledger.of(self.facts)
        self.start = self.ledger.first(RankStartFacts)
        self.seen = _seen(self.ledger)
        self.is_over = self.ledger.last(EndFacts) is not None or is_gone(self.start)
        self.fault = next((fault for fault in self.ledger.all(ProbeFault) if fault.probe == HOOKS), None)


class _Launch:
    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size = folder, size
        records = {index: _Record(rank_file(folder, index)) for index in range(size)}
        self._of = {index: record for index, record in records.items() if record.facts and record.fault is None}
        self._fault = next((record.fault for record in records.values() if record.fault is not None), None)
        group = self._of[0].ledger.last(GroupFacts) if 0 in self._of else None
        self._group = group if group is not None and group.ranks >= size > 1 else None
        self._judged = 0 if self._group is not None else max(self._of, key=self._rating, default=0)
        self.seen = self._of[self._judged].seen if self._of else NOTHING

    def _rating(self, index: int) -> tuple[Seen, int]:
        return self._of[index].seen, -index

    def at_its_end(self) -> _Launch:
        """Once all have ended, or after some seconds."""
        until = time.monotonic() + PATIENCE
        now = self
        while not now.is_over and time.monotonic() < until:
            time.sleep(0.05)
            now = _Launch(self._folder, self._size)
        return now

    @property
    def is_over(self) -> bool:
        return all(record.is_over for record in self._of.values())

    def judged(self, since: float, notes: Sequence[str], how: Literal["interrupted"] | None = None) -> Judged:
        """how: its first process ended, where that did not come to write it; None: nobody knows why it died."""
        record = self._of[self._judged]
        facts = [fact for fact in record.facts if not isinstance(fact, OF_OUR_OWN)]
        if record.ledger.last(EndFacts) is None and how is not None:
            facts.append(EndFacts.unmeasured(record.seen[0], how))
        ranks = self._size if self._group is not None else 1
        told = record.ledger.last(StartedFacts)
        return Judged(
            facts,
            ranks,
            OtherRanks(self._folder, ranks, since) if ranks > 1 else None,
            (*notes, *self._notes()),
            told.environment if told is not None else {},
            told.unclassified if told is not None else {},
        )

    def _notes(self) -> Iterator[str]:
        group, size = self._group, self._size
        if group is not None and group.ranks > size:
            yield (
                f"The process group has {group.ranks} ranks. The {size} that this script started are what was judged, "
                f"and they are counted from 0 here: the first of them is rank {group.rank}."
            )
        trained = [index for index, record in self._of.items() if record.seen[0]]
        if group is None and len(trained) > 1:
            yield (
                f"{len(trained)} processes trained, and not as the ranks of one process group: the one of index "
                f"{self._judged} was judged by itself."
            )
        yield from self.unwatched()

    def unwatched(self) -> Iterator[str]:
        if len(self._of) < self._size:
            why = f" ({self._fault.message})" if self._fault is not None else ""
            count = self._size - len(self._of)
            yield f"{count} of {self._size} processes that the script started were not watched{why}."


def _of_several(own_steps: int, launches: Sequence[_Launch]) -> Iterator[str]:
    """Which training is judged, where there were several."""
    lengths = [launch.seen[0] for launch in launches if launch.seen[0]]
    if own_steps and lengths:
        yield (
            f"The script trained for {own_steps} steps in its own process and for {max(lengths)} in processes that it "
            "started; the longer training was judged."
        )
    elif len(lengths) > 1:
        yield f"{len(lengths)} times processes were started and trained; the longest of these trainings was judged."


def _facts_in(file: Path) -> Iterator[AnyFact]:
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return  # nobody wrote there
    for line in lines:
        with suppress(ValidationError):  # a torn last line
            yield fact_from_json(line)


def _seen(ledger: Ledger) -> Seen:
    """How much of a training: steps, losses, updates, and whether it raised. To be compared."""
    steps, loop = ledger.steps, ledger.last(LoopFacts)
    losses = loop.backwards + loop.other_backwards + loop.leaf_backwards + loop.losses_left_out if loop else 0
    updates = loop.optimizer_steps if loop else 0
    return steps[-1].step if steps else 0, losses, updates, ledger.last(CrashFacts) is not None


def with_started(own: Ledger, folder: Path) -> tuple[Ledger, tuple[str, ...]]:
    """The facts of a run that never came to its end, with those of the training in processes that the script started,
    and notes on what was judged. `own` itself, where there is nothing of such.

    folder: the run's.
    """
    judged, notes = Launched.found(folder / PROCESSES).judged(own, failed=False)
    run = own.first(RunFacts)
    if judged is None or run is None:
        return own, notes
    ledger = Ledger.of([run.model_copy(update={"ranks": judged.ranks}), *own.all(BaselineFacts), *judged.facts])
    ledger.unread_lines, ledger.unknown_kinds = own.unread_lines, own.unknown_kinds
    if judged.others is not None:
        judged.others.finish_into(ledger, patience=0.0)
    return ledger, judged.notes
