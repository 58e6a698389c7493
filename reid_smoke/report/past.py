"""What a run's folder still holds: its facts judged again, or the report that was made of them; no torch.

A folder is passed around, copied in part, cut off by a full disk or a kill, written by another version. Whatever can
be read is shown, with a note on what is missing; where nothing can, one message says what lies there instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from reid_smoke.errors import CouldNotJudge, ReidSmokeError, UsageError, nearest
from reid_smoke.facts import BaselineFacts
from reid_smoke.folder import FACTS, REPORT, is_run_folder
from reid_smoke.launched import with_started
from reid_smoke.ledger import Ledger
from reid_smoke.report.building import build_report
from reid_smoke.report.document import Report
from reid_smoke.report.notes import written_by_newer
from reid_smoke.verdict import EXIT_CODES, judge

MOST_NAMED = 3  # files or folders in a message


@dataclass(frozen=True)
class PastRun:
    """A run that is over, as its folder tells it."""

    folder: Path
    report: Report
    ledger: Ledger  # empty where only report.json is left
    exit_code: int


def read_past_run(folder: Path, baseline: BaselineFacts | None = None) -> PastRun:
    """The run in `folder`: judged again from its facts, or as report.json has it where that was made from more facts
    than can still be read.

    baseline: a former report whose findings are known; it counts where the run is judged again.
    Raises UsageError where this is no folder of a run, and CouldNotJudge where it is one in which nothing can be read.
    """
    saved = _saved_report(folder / REPORT)
    try:
        ledger = Ledger.read(folder / FACTS)
    except CouldNotJudge:
        if saved is None:
            raise _nothing_here(folder) from None
        return PastRun(folder, _as_saved(saved, _no_facts(folder / FACTS)), Ledger(), EXIT_CODES[saved.verdict])
    ledger, notes = with_started(ledger, folder)
    if baseline is not None:
        ledger.add(baseline)  # in memory alone: the run's own facts stay as they are
    judgement = judge(ledger, ended=True)
    report = build_report(ledger, judgement.results, judgement.verdict)
    report = report.model_copy(update={"notes": (*report.notes, *notes)})
    if saved is not None and saved.global_step > report.global_step:
        why = f"{FACTS} has {report.global_step} of the {saved.global_step} steps that {REPORT} was made from"
        return PastRun(folder, _as_saved(saved, why), ledger, EXIT_CODES[saved.verdict])
    if saved is not None and saved.global_step == report.global_step and ledger.unread_lines:
        why = f"{ledger.unread_lines} line{'s'[: ledger.unread_lines > 1]} of {FACTS} cannot be read"
        return PastRun(folder, _as_saved(saved, why), ledger, EXIT_CODES[saved.verdict])
    if saved is not None and (saved.global_step, saved.verdict) == (report.global_step, report.verdict):
        # What only the run itself could see: the device that a script chose, what was waited for in vain.
        notes = (*saved.notes, *(note for note in report.notes if note not in saved.notes))
        report = report.model_copy(update={"notes": notes, "environment": saved.environment or report.environment})
    return PastRun(folder, report, ledger, judgement.exit_code)


def read_past_runs(folders: Sequence[Path]) -> list[PastRun]:
    """Each of them. Raises UsageError with a line for each folder in which nothing can be read."""
    runs, wrong = [], []
    for folder in folders:
        try:
            runs.append(read_past_run(folder))
        except ReidSmokeError as error:
            wrong.append(str(error))
    if wrong:
        raise UsageError("\n".join(wrong))
    return runs


def _as_saved(saved: Report, why: str) -> Report:
    """report.json itself, with a note on why it is not made anew."""
    newer = written_by_newer(saved.schema_version, saved.environment)
    notes = (*saved.notes, *([newer] if newer else ()), f"{why}: this is the report as {REPORT} has it.")
    return saved.model_copy(update={"notes": notes})


def _saved_report(path: Path) -> Report | None:
    """None where it is not there, torn, or another tool's."""
    try:
        return Report.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _no_facts(path: Path) -> str:
    """Why there are none, as the first half of a sentence."""
    if not path.exists():
        return f"{path.name} is not there"
    try:
        return f"{path.name} is empty" if not path.read_bytes().strip() else f"No line of {path.name} can be read"
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror})"


def _nothing_here(folder: Path) -> ReidSmokeError:
    """The one message for a folder of which nothing can be shown."""
    holds = f"A run's folder holds {FACTS} and {REPORT}."
    if not folder.exists():
        return UsageError(f"{folder}: no such folder.{_near(folder)}")
    if not folder.is_dir():
        parent = f" Name its folder: {folder.parent}" if folder.name in (FACTS, REPORT, "report.html") else f" {holds}"
        return UsageError(f"{folder}: this is a file.{parent}")
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        return UsageError(f"{folder}: this folder cannot be read ({error.strerror}).")
    facts, report = folder / FACTS, folder / REPORT
    if facts.exists():
        reason = _no_facts(facts)
        if reason == f"{FACTS} is empty":
            return CouldNotJudge(f"{facts}: empty. The run ended before its first fact: run it again.")
        torn = f", and {REPORT} is no report of this version" if report.exists() else ""
        return UsageError(f"{folder}: {reason}{_beginning(facts)}{torn}. Is it another tool's? {holds}")
    if report.exists():
        return UsageError(
            f"{folder}: there is no {FACTS}, and {REPORT} is no report of reid-smoke{_beginning(report)}. "
            "Is it another tool's, or was it cut off?"
        )
    if not names:
        return UsageError(f"{folder}: this folder is empty. {holds}")
    inside = _runs_in(folder)
    if inside:
        return UsageError(f"{folder}: this is no run's folder, but it holds some: {_some(inside)}. Name one of them.")
    return UsageError(f"{folder}: this is no folder of a reid-smoke run. It holds {_some(names)}. {holds}")


def _beginning(path: Path) -> str:
    """How the file begins, for whoever knows the tool that wrote it."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            line = next((line.strip() for line in file if line.strip()), "")
    except OSError:
        return ""
    shown = "".join(c if c.isprintable() else "?" for c in line[:60])
    return f" (it begins with {shown}{'...' if len(line) > 60 else ''})" if shown else ""


def _runs_in(folder: Path) -> list[str]:
    """Folders of runs, one or two levels down, the newest first."""
    found = {path.parent for deep in ("*", "*/*") for name in (FACTS, REPORT) for path in folder.glob(f"{deep}/{name}")}
    return [str(path) for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)]


def _near(folder: Path) -> str:
    """Folders beside it that are called alike."""
    parent = folder.parent
    try:
        names = [entry.name for entry in parent.iterdir() if is_run_folder(entry)]
    except OSError:
        return ""
    near = nearest(folder.name, names)
    return f" Did you mean {_some([str(parent / name) for name in near])}?" if near else ""


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
