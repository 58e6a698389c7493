"""Outcomes to totals, and to the table in the README."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

BEGIN, END = "<!-- fault bench: begin -->", "<!-- fault bench: end -->"

Outcomes = list[dict[str, Any]]


def totals(outcomes: Outcomes) -> dict[str, tuple[int, int]]:
    """What is counted: how many of how many."""
    faults = [o for o in outcomes if o["wanted"]]
    controls = [o for o in outcomes if not o["wanted"]]
    structural = [o for o in faults if o["structural"]]
    soon = [o for o in structural if o["certain_updates"] is not None and o["certain_updates"] <= 5]
    return {
        "caught": (sum(o["caught"] for o in faults), len(faults)),
        "named first": (sum(o["named_first"] for o in faults), len(faults)),
        "structural faults certain within 5 optimizer steps": (len(soon), len(structural)),
        "false alarms on controls": (sum(bool(o["found"]) or o["verdict"] == "NO-GO" for o in controls), len(controls)),
        "controls that did not get GO": (sum(o["verdict"] != "GO" for o in controls), len(controls)),
        "errors": (sum(bool(o["errors"]) for o in outcomes), len(outcomes)),
    }


def report(outcomes: Outcomes) -> str:
    """The totals, way by way, and what went wrong."""
    lines = []
    for way in sorted({o["way"] for o in outcomes}):
        of_way = [o for o in outcomes if o["way"] == way]
        lines += [f"{way}: {_ran(of_way)}"]
        lines += [
            f"  {what:52} {count:4} of {of:4} {_share(count, of)}" for what, (count, of) in totals(of_way).items()
        ]
        wrong = [o for o in of_way if not o["ok"]]
        for o in sorted(wrong, key=lambda o: (o["case"], o["setup"], o["seed"])):
            first = "; ".join(f"{slug} ({severity}): {evidence}" for slug, severity, evidence in o["found"][:2])
            lines.append(f"  !! {o['case']} on {o['setup']}, seed {o['seed']}: {o['verdict']}. {first or o['reason']}")
    return "\n".join(lines)


def markdown(outcomes: Outcomes) -> str:
    """The totals and, folded, a line for each fault."""
    ways = sorted({o["way"] for o in outcomes})
    lines = ["| | " + " | ".join(f"`{way}`" for way in ways) + " |", "|---|" + "---|" * len(ways)]
    of_way = {way: totals([o for o in outcomes if o["way"] == way]) for way in ways}
    for what in next(iter(of_way.values())):
        cells = [f"{of_way[w][what][0]} of {of_way[w][what][1]}{_percent(*of_way[w][what])}" for w in ways]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    runs: dict[str, Outcomes] = defaultdict(list)
    for outcome in outcomes:
        if outcome["wanted"]:
            runs[outcome["case"]].append(outcome)
    order = sorted(runs, key=lambda case: (runs[case][0]["wanted"], case))
    lines += [
        "", "<details><summary>Fault by fault</summary>", "",
        "| the mistake | must be named | runs | caught | first | verdict | certain after |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for case in order:
        these = runs[case]
        steps = [o["certain_updates"] for o in these if o["certain_updates"] is not None]
        words = sorted({o["verdict"] for o in these})
        lines.append(
            f"| {these[0]['title']} | {' or '.join(these[0]['wanted'])} | {len(these)} | "
            f"{sum(o['caught'] for o in these)} | {sum(o['named_first'] for o in these)} | {', '.join(words)} | "
            f"{_steps(steps)} |"
        )
    return "\n".join([*lines, "", "</details>"])


def write_table(outcomes: Outcomes, path: Path) -> None:
    """Replace what stands between the two marks in the file. Raises ValueError where it has no such marks."""
    put_between(path, BEGIN, END, markdown(outcomes))


def put_between(path: Path, begin: str, end: str, what: str) -> None:
    """Replace what stands between two marks in the file. Raises ValueError where it has no such marks."""
    text = path.read_text()
    if begin not in text or end not in text:
        raise ValueError(f"{path} has no {begin} and {end}")
    before, rest = text.split(begin, 1)
    _, after = rest.split(end, 1)
    path.write_text(f"{before}{begin}\n{what}\n{end}{after}")


def _ran(outcomes: Outcomes) -> str:
    faults = {o["case"] for o in outcomes if o["wanted"]}
    controls = {o["case"] for o in outcomes if not o["wanted"]}
    places = {o["setup"] for o in outcomes}
    seeds = {o["seed"] for o in outcomes}
    seconds = sum(o["seconds"] for o in outcomes)
    return (
        f"{len(faults)} faults and {len(controls)} controls on {', '.join(sorted(places))}, {len(seeds)} seeds: "
        f"{len(outcomes)} trainings, {seconds:.0f} s of one core"
    )


def _share(count: int, of: int) -> str:
    return f"({100 * count / of:.1f} %)" if of else ""


def _percent(count: int, of: int) -> str:
    return f", {100 * count / of:.1f} %" if of else ""


def _steps(steps: list[int]) -> str:
    if not steps:
        return "-"
    middle = round(median(steps))
    return f"{middle} steps" + (f" (at most {max(steps)})" if max(steps) > middle else "")
