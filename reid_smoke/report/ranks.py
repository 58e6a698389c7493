"""What the report says of the ranks: a line of figures for each; no torch."""

from __future__ import annotations

from math import isfinite

from pydantic import BaseModel, ConfigDict

from reid_smoke.facts import EndFacts, RankEndFacts, RankFacts, RankStartFacts, RunFacts
from reid_smoke.ledger import Ledger
from reid_smoke.rank_files import condensed


class RankEntry(BaseModel):
    """One rank. `ended` as in RankEndFacts."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rank: int
    host: str = ""
    step: int
    batch: int | None = None  # images, at the last step told
    ce_last: float | None = None
    images: int = 0  # trained on
    updates: int = 0
    data_wait_share: float | None = None
    ended: str


def rank_entries(ledger: Ledger) -> tuple[RankEntry, ...]:
    """Every rank, the first included; empty where one process trains alone."""
    run = ledger.first(RunFacts)
    if run is None or run.ranks < 2:
        return ()
    end = ledger.last(EndFacts)
    own = condensed(ledger.steps)
    last: dict[int, RankFacts] = {0: own[max(own)]} if own else {}
    last.update((fact.rank, fact) for fact in ledger.all(RankFacts))
    hosts = {fact.rank: fact.host for fact in ledger.all(RankStartFacts)}
    ended = {fact.rank: (fact.how, fact.step) for fact in ledger.all(RankEndFacts)}
    ended[0] = (end.how if end else "killed", ledger.done)
    return tuple(
        _entry(rank, hosts.get(rank, ""), last.get(rank), *ended.get(rank, ("unheard", 0))) for rank in range(run.ranks)
    )


def _entry(rank: int, host: str, fact: RankFacts | None, how: str, step: int) -> RankEntry:
    if fact is None:
        return RankEntry(rank=rank, host=host, step=step, ended=how)
    busy = fact.data_s + fact.compute_s
    return RankEntry(
        rank=rank,
        host=host,
        step=step,
        batch=fact.batch,
        ce_last=fact.ce if isfinite(fact.ce) else None,
        images=fact.images,
        updates=fact.updates,
        data_wait_share=fact.data_s / busy if busy > 0 else None,
        ended=how,
    )
