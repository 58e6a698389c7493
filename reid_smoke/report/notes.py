"""What makes a report less than whole, in sentences; no torch."""

from __future__ import annotations

from collections.abc import Mapping

from reid_smoke.facts import (
    SCHEMA_VERSION,
    CrashFacts,
    DatasetFacts,
    GraphFacts,
    OutOfMemoryFacts,
    ProbeFault,
    RunFacts,
)
from reid_smoke.ledger import Ledger


def notes_on(ledger: Ledger) -> tuple[str, ...]:
    """What is missing or was cut short, and what else a reader should know beside the findings."""
    notes: list[str] = []
    if ledger.write_error:
        notes.append(f"The facts could not all be written ({ledger.write_error}): make room before the next run.")
    notes += _unread(ledger)
    ran_out = ledger.all(OutOfMemoryFacts)
    if ran_out and ran_out[-1].then:
        notes.append(
            f"{ran_out[0].batch} images a batch do not fit into memory: what is judged is the training with "
            f"{', '.join(ran_out[-1].then)} (RS801)."
        )
    data = ledger.first(DatasetFacts)
    if data is not None and data.instances and data.instances > 1 and data.identities_of_one_image:
        notes.append(
            f"{data.identities_of_one_image:,} of {data.identities:,} identities have one image. PK sampling draws "
            f"{data.instances} of each, and takes that one {data.instances} times: a pair of it teaches nothing."
        )
    graph = ledger.last(GraphFacts)
    if graph is not None and graph.sharded:
        notes.append(
            "The weights are divided among the ranks (FSDP). CE, data and graph are judged; what concerns single "
            "weights, their gradients and the optimizer is not."
        )
    faults: dict[str, ProbeFault] = {}
    crashes = {f"{crash.exception}: {crash.message}" for crash in ledger.all(CrashFacts)}
    for fault in ledger.all(ProbeFault):
        if fault.message not in crashes:  # else it only met first what then stopped the training: a freed graph, say
            faults.setdefault(fault.probe, fault)
    notes += [
        f"The probe {f.probe} failed at step {f.step} ({f.message}): what it measures is missing."
        for f in faults.values()
    ]
    return tuple(notes)


def _unread(ledger: Ledger) -> list[str]:
    """What of a past run's facts could not be read, and what that means for the report."""
    run = ledger.first(RunFacts)
    newer = written_by_newer(run.schema_version, run.environment) if run else None
    notes = [newer] if newer else []
    if ledger.unread_lines:
        s, were = ("", "was") if ledger.unread_lines == 1 else ("s", "were")
        kinds = ", ".join(sorted(ledger.unknown_kinds)[:5])
        why = f" This version knows no facts of kind {kinds}: a newer one wrote them." if kinds and not newer else ""
        notes.append(f"{ledger.unread_lines} line{s} of facts.jsonl could not be read and {were} left out.{why}")
        if run is None:
            notes.append(
                "The run's own plan is among what could not be read: it is judged by the usual window and bar, "
                "whatever its config said."
            )
    return notes


def written_by_newer(schema_version: int, environment: Mapping[str, str]) -> str | None:
    """A sentence where a later version wrote the run, of which this one knows only a part."""
    if schema_version <= SCHEMA_VERSION:
        return None
    by = f"reid-smoke {environment['reid-smoke']}" if "reid-smoke" in environment else "a newer reid-smoke"
    return f"This run was written by {by}, and here is what this version knows of it: upgrade to see the rest."
