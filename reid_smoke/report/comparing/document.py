"""The comparison as a document, in the shape of `compare --json`; no torch.

The first run named is what the others are held against, as before a change and after it. All are judged by the checks
of this version, so that a finding that went was mended and is not merely unknown to an older tool.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any, Literal

from reid_smoke.errors import UsageError
from reid_smoke.facts import SCHEMA_VERSION
from reid_smoke.report.comparing.differences import Difference, config_differences, seen_differences
from reid_smoke.report.document import Ce, Entry, FindingEntry, Report, Rule
from reid_smoke.report.past import PastRun
from reid_smoke.report.thin import Point
from reid_smoke.verdict import VerdictWord

LETTERS = "ABCDEFGH"  # of the runs; more curves in one plot nobody tells apart
RECENT = 20  # steps whose mean CE must have reached the bar: one batch of 8 says little

State = Literal["first cause", "fault", "follows", "seen too", "pass", "skipped", "error", "unknown"]
Change = Literal["came", "went", "stays", "other"]
FOUND = ("first cause", "fault", "follows", "seen too")


class RunEntry(Entry):
    """One of the runs."""

    letter: str
    folder: str
    name: str
    way_in: str
    command: str
    started: str
    verdict: VerdictWord
    reason: str
    ended: str
    first_cause: str | None  # its code
    rule: Rule
    ce: Ce
    reached_bar_at: int | None  # the first step at which the mean CE of the last 20 was at or under the bar
    global_step: int
    images_per_s: float | None
    data_wait_share: float | None
    has_config: bool
    notes: tuple[str, ...]


class FindingRow(Entry):
    """One fault, and what each run has to say of it."""

    code: str
    slug: str
    title: str
    states: tuple[State, ...]  # a run each; `skipped`: could not be looked for there; `unknown`: not known there
    change: Change  # from the first run to the last; other: neither of the two has it, or one could not look for it


class Mark(Entry):
    """A height that the curves are read against."""

    name: str  # chance, bar, or the bar of one run
    height: float  # nats, in the curves' own measure


class Comparison(Entry):
    """Tuples are in the order of the runs. Keys are only ever added."""

    schema_version: int
    runs: tuple[RunEntry, ...]
    below_chance: bool  # chance differs between the runs: their curves are comparable only as CE less log C
    marks: tuple[Mark, ...]
    config: tuple[Difference, ...]
    seen: tuple[Difference, ...]  # what differs beside the configs: the data, the optimizer, the machine
    findings: tuple[FindingRow, ...]


def compare(runs: Sequence[PastRun]) -> Comparison:
    """Two to eight runs beside each other. Raises UsageError for another number, and for a folder named twice."""
    if not 2 <= len(runs) <= len(LETTERS):
        raise UsageError(f"compare takes 2 to {len(LETTERS)} run folders, and here are {len(runs)}.")
    folders = [run.folder.resolve() for run in runs]
    twice = next((run.folder for run, folder in zip(runs, folders, strict=True) if folders.count(folder) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice}: named twice. Name another run to compare it with.")
    configs, config = config_differences(runs)
    below_chance = len({run.report.rule.num_classes for run in runs} - {None}) > 1
    return Comparison(
        schema_version=SCHEMA_VERSION,
        runs=tuple(_run_entry(letter, run, has) for letter, run, has in zip(LETTERS, runs, configs, strict=False)),
        below_chance=below_chance,
        marks=tuple(_marks([run.report.rule for run in runs], below_chance)),
        config=config,
        seen=seen_differences(runs),
        findings=_findings([run.report for run in runs]),
    )


def _run_entry(letter: str, run: PastRun, has_config: bool) -> RunEntry:
    report = run.report
    return RunEntry(
        letter=letter,
        folder=str(run.folder),
        first_cause=report.primary.code if report.primary else None,
        reached_bar_at=reached_at(report.ce.curve, report.rule.max_ce),
        images_per_s=report.timing.images_per_s,
        data_wait_share=report.timing.data_wait_share,
        has_config=has_config,
        **{name: getattr(report, name) for name in _OF_THE_REPORT},
    )


_OF_THE_REPORT = (
    "name", "way_in", "command", "started", "verdict", "reason", "ended", "rule", "ce", "global_step", "notes",
)  # fmt: skip


def curve_of(run: RunEntry, below_chance: bool) -> list[Point]:
    """The run's CE as it is drawn, each step the mean of the last 20; or that less log C. Empty where chance is not
    known."""
    means: list[Point] = [(step, fmean(recent) if recent else None) for step, recent in _recent(run.ce.curve)]
    if not below_chance:
        return means
    chance = run.rule.chance_ce
    return [] if chance is None else [(step, None if ce is None else ce - chance) for step, ce in means]


def _recent(curve: Sequence[Point]) -> Iterator[tuple[int, list[float]]]:
    """Each step with the CE of the last 20. One that is no number ends the line, and another begins behind it."""
    recent: list[float] = []
    for step, ce in curve:
        recent = [*recent, ce][-RECENT:] if ce is not None else []
        yield step, recent


def _marks(rules: Sequence[Rule], below_chance: bool) -> Iterator[Mark]:
    """Chance, and the bar: one for all where it is the same."""
    known = [
        (letter, rule.chance_ce, rule.max_ce - (rule.chance_ce if below_chance else 0.0))
        for letter, rule in zip(LETTERS, rules, strict=False)
        if rule.chance_ce is not None and rule.max_ce is not None
    ]
    if not known:
        return
    yield Mark(name="chance", height=0.0 if below_chance else known[0][1])
    bars: dict[float, list[str]] = {}
    for letter, _, bar in known:
        bars.setdefault(round(bar, 6), []).append(letter)
    for bar, letters in bars.items():
        yield Mark(name=f"bar of {', '.join(letters)}" if len(bars) > 1 else "bar", height=bar)


def reached_at(curve: Sequence[Point], bar: float | None) -> int | None:
    """The first step at which the mean CE of the last 20 is at or under the bar; None: never, or there is no bar."""
    if bar is None:
        return None
    full = ((step, recent) for step, recent in _recent(curve) if len(recent) == RECENT)
    return next((step for step, recent in full if fmean(recent) <= bar), None)


def _findings(reports: Sequence[Report]) -> tuple[FindingRow, ...]:
    """Every fault that any run has: those that went, those that came, the rest; each the gravest first."""
    found: dict[str, FindingEntry] = {}
    for report in reports:
        for finding in report.findings:
            found.setdefault(finding.code, finding)
    rows = []
    for code, finding in found.items():
        states = tuple(_state(code, report) for report in reports)
        rows.append(
            FindingRow(code=code, slug=finding.slug, title=finding.title, states=states, change=_change(states))
        )
    order = ("went", "came", "stays", "other")
    gravity = {state: place for place, state in enumerate(FOUND)}
    return tuple(
        sorted(
            rows,
            key=lambda row: (order.index(row.change), min(gravity.get(s, len(gravity)) for s in row.states), row.code),
        )
    )


def _state(code: str, report: Report) -> State:
    finding = next((finding for finding in report.findings if finding.code == code), None)
    if finding is not None:
        if finding.primary:
            return "first cause"
        return "seen too" if finding.severity == "warn" else "follows" if finding.because_of else "fault"
    status: Any = next((entry.status for entry in report.checks.results if entry.code == code), "unknown")
    return status  # type: ignore[no-any-return]  # pass, skipped or error: whatever fired is a finding


def _change(states: Sequence[State]) -> Change:
    before, after = states[0], states[-1]
    if before in FOUND and after in FOUND:
        return "stays"
    if before in FOUND and after == "pass":
        return "went"
    if before == "pass" and after in FOUND:
        return "came"
    return "other"
