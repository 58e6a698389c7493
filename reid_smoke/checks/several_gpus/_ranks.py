"""The ranks side by side, as the checks of several GPUs look at them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from reid_smoke.facts import RankFacts, StepFacts
from reid_smoke.rank_files import condensed

Row = dict[int, RankFacts]  # rank -> what it did at one step


def side_by_side(steps: list[StepFacts], others: Sequence[RankFacts]) -> list[Row]:
    """Every step that the first rank and all others told of, oldest first."""
    first = condensed(steps)
    rows: dict[int, Row] = {}
    for fact in others:
        rows.setdefault(fact.step, {})[fact.rank] = fact
    count = len({fact.rank for fact in others})
    return [{0: first[step], **rows[step]} for step in sorted(rows) if step in first and len(rows[step]) == count]


def apart(one: float | None, other: float | None, tolerance: float) -> bool:
    """Whether two measurements differ by more than this share of the larger; what was not measured differs from
    nothing."""
    if one is None or other is None or not isfinite(one) or not isfinite(other):
        return False
    return abs(one - other) > tolerance * max(abs(one), abs(other))


def named(ranks: Sequence[int]) -> str:
    """`rank 1`, `ranks 1 and 2`, `ranks 1, 2, 3 and 4 more`."""
    words = [str(rank) for rank in ranks]
    if len(words) == 1:
        return f"rank {words[0]}"
    if len(words) > 4:
        return f"ranks {', '.join(words[:3])} and {len(words) - 3} more"
    return f"ranks {', '.join(words[:-1])} and {words[-1]}"
