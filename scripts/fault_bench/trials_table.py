"""Outcomes of the triage bench to totals, and to the table in the README."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from fault_bench.table import put_between

BEGIN, END = "<!-- triage bench: begin -->", "<!-- triage bench: end -->"
WAYS = {"config": "`triage` on the config", "replay": "`watch --triage`"}

Outcomes = list[dict[str, Any]]


def totals(outcomes: Outcomes) -> dict[str, tuple[int, int]]:
    """What is counted: how many of how many."""
    mendable = [o for o in outcomes if o["counts"]]
    return {
        "the change that mends it is found": (sum(o["right"] for o in mendable), len(mendable)),
        "a change is named that is no mend": (sum(o["wrong"] for o in outcomes), len(outcomes)),
        "the bench failed": (sum(bool(o["error"]) for o in outcomes), len(outcomes)),
    }


def report(outcomes: Outcomes) -> str:
    """The totals, way by way, the table of faults, and what went wrong."""
    lines = []
    for way in sorted({o["way"] for o in outcomes}):
        these = [o for o in outcomes if o["way"] == way]
        lines.append(f"{way}: {_ran(these)}")
        for what, (count, of) in totals(these).items():
            share = f"({100 * count / of:.1f} %)" if of else ""
            lines.append(f"  {what:36} {count:4} of {of:4} {share}")
        lines += [
            f"  {case:38} {ce:24} {right:2} of {of:2}  {seconds:>5}  {found}"
            for case, ce, right, of, seconds, found in (_row(runs) for runs in _by_case(these))
        ]
        for o in these:
            if o["error"] or o["wrong"] or (o["counts"] and not o["right"]):
                lines.append(
                    f"  !! {o['case']} on {o['setup']}, seed {o['seed']}: {o['error'] or o['said']} "
                    f"Wanted {' or '.join(o['can_mend']) or 'nothing'}."
                )
                lines += [
                    f"       {name}: {_ce(first)} -> {_ce(last)}{', learns' * ok}"
                    + ("" if unseen is None else f", unseen {unseen:.0%}")
                    for name, first, last, ok, unseen in o["trials"]
                ]
    return "\n".join(lines)


def markdown(outcomes: Outcomes) -> str:
    """The totals and, folded, a line for each fault."""
    ways = sorted({o["way"] for o in outcomes})
    of_way = {way: [o for o in outcomes if o["way"] == way] for way in ways}
    lines = ["| | " + " | ".join(WAYS[way] for way in ways) + " |", "|---|" + "---|" * len(ways)]
    for what in ("the change that mends it is found", "a change is named that is no mend"):
        pairs = [totals(of_way[way])[what] for way in ways]
        cells = [f"{count} of {of}" + (f", {100 * count / of:.1f} %" if of else "") for count, of in pairs]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    times = [f"{median(s):.0f} s, at most {max(s):.0f} s" for s in ([o["seconds"] for o in of_way[w]] for w in ways)]
    lines.append(f"| the trials took | {' | '.join(times)} |")
    for way in ways:
        lines += [
            "", f"<details><summary>{WAYS[way]}, fault by fault</summary>", "",
            "| the mistake | CE | mended | seconds | named as the mend |", "|---|---|---|---|---|",
        ]  # fmt: skip
        for runs in _by_case(of_way[way]):
            _, ce, right, of, seconds, found = _row(runs)
            mended = f"{right} of {of}" if of else "-"
            lines.append(f"| {runs[0]['title']} | {ce} | {mended} | {seconds} | {found} |")
        lines += ["", "</details>"]
    return "\n".join(lines)


def write_table(outcomes: Outcomes, path: Path) -> None:
    """Replace what stands between the two marks in the file. Raises ValueError where it has no such marks."""
    put_between(path, BEGIN, END, markdown(outcomes))


def _by_case(outcomes: Outcomes) -> list[Outcomes]:
    found: dict[str, Outcomes] = defaultdict(list)
    for outcome in outcomes:
        found[outcome["case"]].append(outcome)
    return [found[case] for case in sorted(found, key=lambda case: (not any(o["counts"] for o in found[case]), case))]


def _row(runs: Outcomes) -> tuple[str, str, int, int, str, str]:
    """Of one fault: its name, what CE did, mended, could be mended, median seconds, what was named."""
    counted = [o for o in runs if o["counts"]]
    named = sorted({" and ".join(o["found"]) or _where(o) for o in runs})
    return (
        runs[0]["case"],
        ", ".join(sorted({o["ce"] or "?" for o in runs})),
        sum(o["right"] for o in counted),
        len(counted),
        f"{median(o['seconds'] for o in runs):.0f}",
        "; ".join(named),
    )


def _where(outcome: dict[str, Any]) -> str:
    return f"(in the {' and '.join(outcome['lies_in'])})" if outcome["lies_in"] else "-"


def _ran(outcomes: Outcomes) -> str:
    faults, places = {o["case"] for o in outcomes}, {o["setup"] for o in outcomes}
    seconds = [o["seconds"] for o in outcomes]
    return (
        f"{len(faults)} faults on {', '.join(sorted(places))}, {len({o['seed'] for o in outcomes})} seeds: "
        f"{len(outcomes)} trainings, {median(seconds):.0f} s of trials each, at most {max(seconds):.0f} s"
    )


def _ce(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
