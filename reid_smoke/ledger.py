"""The ledger: every fact of one training, in the order in which they came; no torch.

Written to `facts.jsonl` line by line and flushed, so that it is readable while the training runs and whole after
a kill. Read again by `Ledger.read`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from reid_smoke.errors import CouldNotJudge
from reid_smoke.facts import (
    AnewFacts,
    AnyFact,
    EndFacts,
    Fact,
    GraphFacts,
    ImageFacts,
    LabelFacts,
    LikenessFacts,
    ModeFacts,
    ParameterFacts,
    StepFacts,
    fact_from_json,
)

FactT = TypeVar("FactT", bound=Fact)

OF_ONE_LOSS = (StepFacts, GraphFacts, ModeFacts, ParameterFacts, LabelFacts, ImageFacts, LikenessFacts)


class Ledger:
    """An append-only store of facts, by kind and in order.

    `path`: where each fact is also written, one JSON line each; None keeps them in memory alone. A disk that cannot
    be written any more must not stop a training: the first failure is kept in `write_error`, and nothing more is
    written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._by_kind: dict[type[Fact], list[Fact]] = {}
        self._file: IO[str] | None = path.open("w", encoding="utf-8") if path else None
        self._listeners: list[Callable[[AnyFact], None]] = []
        self.write_error: str | None = None
        self.unread_lines = 0
        self.unknown_kinds: set[str] = set()  # of the unread lines that say what they are

    def add(self, fact: AnyFact) -> None:
        if isinstance(fact, AnewFacts):
            for kind in OF_ONE_LOSS:
                self._by_kind.pop(kind, None)
        self._by_kind.setdefault(type(fact), []).append(fact)
        if self._file is not None:
            try:
                self._file.write(_to_json(fact) + "\n")
                self._file.flush()
            except OSError as error:
                self.write_error = f"{self._file.name}: {error.strerror or error}"
                self._file = None
        for listener in self._listeners:
            listener(fact)

    def subscribe(self, listener: Callable[[AnyFact], None]) -> None:
        """`listener` is called with every fact added from now on, after it is written."""
        self._listeners.append(listener)

    def all(self, kind: type[FactT]) -> list[FactT]:
        """Every fact of this kind, oldest first; empty when there is none."""
        return self._by_kind.get(kind, [])  # type: ignore[return-value]  # the key is the type of what it holds

    def first(self, kind: type[FactT]) -> FactT | None:
        facts = self.all(kind)
        return facts[0] if facts else None

    def last(self, kind: type[FactT]) -> FactT | None:
        facts = self.all(kind)
        return facts[-1] if facts else None

    @property
    def steps(self) -> list[StepFacts]:
        return self.all(StepFacts)

    @property
    def last_step(self) -> StepFacts | EndFacts | None:
        """The last one that was made, though it may have been left out by who measures; None without any. Where the
        training was torn off, the step that had begun was not."""
        measured, end = self.steps[-1] if self.steps else None, self.last(EndFacts)
        if measured is None or end is None or end.how not in ("finished", "stopped"):
            return measured
        return end if end.epoch is not None and end.step > measured.step else measured

    @property
    def done(self) -> int:
        """Steps that were made."""
        return self.last_step.step if self.last_step is not None else 0

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    @classmethod
    def of(cls, facts: Iterable[AnyFact]) -> Ledger:
        ledger = cls()
        for fact in facts:
            ledger.add(fact)
        return ledger

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """The ledger of a past run. Lines that cannot be read (a torn last line, a newer version's kinds) are counted
        in `unread_lines`, and kinds that this version does not know are named in `unknown_kinds`. Raises CouldNotJudge
        where there is no such file or nothing in it could be read."""
        ledger = cls()
        for line in _lines(path):
            try:
                ledger.add(fact_from_json(line))
            except ValidationError as error:
                ledger.unread_lines += 1
                first = error.errors(include_url=False, include_input=False)[0]
                if first["type"] == "union_tag_invalid":
                    ledger.unknown_kinds.add(str(first["ctx"]["tag"]))
        if not ledger._by_kind:
            raise CouldNotJudge(f"{path}: no fact could be read here. Is this the folder of a reid-smoke run?")
        return ledger


def _to_json(fact: AnyFact) -> str:
    try:
        return fact.model_dump_json()
    except PydanticSerializationError:
        # A file name that is no valid UTF-8 comes with lone surrogates, which JSON cannot carry.
        plain = json.dumps(fact.model_dump(), default=str, ensure_ascii=False)
        return plain.encode(errors="replace").decode()


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            yield from (line for line in file if line.strip())
    except OSError as error:
        raise CouldNotJudge(f"{path}: {error.strerror}. A run's folder holds facts.jsonl.") from error
