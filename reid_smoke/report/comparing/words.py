"""The comparison's figures and headings in words, the same for the terminal and the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from reid_smoke.config.dump import dump_value
from reid_smoke.report.comparing.differences import Difference
from reid_smoke.report.comparing.document import RECENT, Comparison, FindingRow, RunEntry

ABSENT = "-"


def headline(comparison: Comparison) -> str:
    """The verdicts: `NO-GO → GO`, or `GO in all 3`."""
    verdicts = [run.verdict for run in comparison.runs]
    if len(set(verdicts)) > 1:
        return " → ".join(verdicts)
    return f"{verdicts[0]} in {'both' if len(verdicts) == 2 else f'all {len(verdicts)}'}"


def summary(comparison: Comparison) -> str:
    """Which findings went and came, and how much of the configs differs."""
    said = []
    for change, word in (("went", "Gone"), ("came", "New")):
        rows = [row for row in comparison.findings if row.change == change]
        named = [f"{row.code} {row.slug}" for row in rows[:2]]
        more = f" and {len(rows) - 2} more" if len(rows) > 2 else ""
        said.append(f"{word}: {', '.join(named) + more or 'no finding'}.")
    if sum(run.has_config for run in comparison.runs) > 1:
        said.append(f"{_keys_differ(comparison)} in the configs." if comparison.config else "The configs are the same.")
    return " ".join(said)


def figures(comparison: Comparison) -> list[tuple[str, tuple[str, ...]]]:
    """What came of each run, a figure a row. Those that no run has are left out."""
    rows = (
        ("CE", _ce),
        ("chance", lambda run: _nats(run.rule.chance_ce)),
        ("bar", lambda run: _nats(run.rule.max_ce)),
        ("reaches the bar", _reached),
        ("trend per 100", lambda run: _nats(run.ce.trend_per_100_steps, sign="+")),
        ("first cause", lambda run: run.first_cause),
        ("steps", lambda run: str(run.global_step)),
        ("ended", lambda run: {"killed": "no end seen"}.get(run.ended, run.ended)),
        ("images/s", lambda run: _number(run.images_per_s)),
        ("waits for data", lambda run: _share(run.data_wait_share)),
    )
    said = [(name, tuple(figure(run) or ABSENT for run in comparison.runs)) for name, figure in rows]
    return [(name, values) for name, values in said if set(values) != {ABSENT}]


def _ce(run: RunEntry) -> str | None:
    """In the window, or wherever it had come to."""
    ce = run.ce
    if ce.not_finite_at is not None:
        return f"NaN from step {ce.not_finite_at}"
    if ce.window_mean is not None and run.global_step >= run.rule.window[1]:
        return f"{ce.window_mean:.2f}"
    return None if ce.last is None else f"{ce.last:.2f} at step {run.global_step}"


def _nats(value: float | None, *, sign: str = "") -> str | None:
    return None if value is None else f"{value:{sign}.2f}" if round(value, 2) else "0.00"


def _reached(run: RunEntry) -> str | None:
    if run.rule.max_ce is None or not run.ce.curve:
        return None
    return "never" if run.reached_bar_at is None else f"at step {run.reached_bar_at}"


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:,.0f}"


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.0%}"


def config_values(difference: Difference) -> tuple[str, ...]:
    """Each run's, as YAML; a dash where its config has no such key."""
    pairs = zip(difference.values, difference.given, strict=True)
    return tuple(dump_value(value) if given else ABSENT for value, given in pairs)


def seen_values(difference: Difference) -> tuple[str, ...]:
    return tuple(ABSENT if value is None else str(value) for value in difference.values)


def rows(
    differences: Sequence[Difference], said: Callable[[Difference], tuple[str, ...]]
) -> list[tuple[str, tuple[str, ...]]]:
    """A table's rows: the key, and what each run has."""
    return [(difference.key, said(difference)) for difference in differences]


def finding_rows(findings: Sequence[FindingRow]) -> list[tuple[str, tuple[str, ...]]]:
    return [(f"{row.code} {row.slug}", row.states) for row in findings]


def config_heading(comparison: Comparison) -> tuple[str, str]:
    """A heading, and what there is to say of configs that are missing."""
    without = [run.letter for run in comparison.runs if not run.has_config]
    has = "has" if len(without) == 1 else "have"
    missing = f"{_and(without)} {has} no config.yaml that can be read, as a watched script has none." if without else ""
    if len(comparison.runs) - len(without) < 2:
        return "Config", missing
    return f"Config: {_keys_differ(comparison) if comparison.config else 'the same'}", missing


def _keys_differ(comparison: Comparison) -> str:
    count = len(comparison.config)
    return "1 key differs" if count == 1 else f"{count} keys differ"


def seen_heading(comparison: Comparison) -> str:
    return "What was seen: the same" if not comparison.seen else "What was seen to differ"


def finding_groups(comparison: Comparison) -> Iterator[tuple[str, list[FindingRow]]]:
    """The findings under what became of them from the first run to the last."""
    first, last = comparison.runs[0].letter, comparison.runs[-1].letter
    headings = {
        "went": f"Gone: in {first}, no more in {last}",
        "came": f"New: in {last}, not yet in {first}",
        "stays": f"Still there: in {first} and in {last}",
        "other": "Not to be compared: not looked for on one side"
        if len(comparison.runs) == 2
        else "In between, or not looked for on one side",
    }
    for change, rows in groupby(comparison.findings, key=lambda row: row.change):
        yield headings[change], list(rows)


def curves_heading(comparison: Comparison) -> str:
    less = " less log C, so that 0 is chance for each" if comparison.below_chance else ""
    return f"CE{less}, mean of {RECENT} steps"


def _and(letters: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(letters[:-1]), letters[-1])))
