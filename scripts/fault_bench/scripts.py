"""A case of the bench as a plain script under `reid-smoke watch`: two files are written, a process is run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fault_bench.mistakes import EDITS, NECK, PLACES, STYLES
from fault_bench.run import Outcome, Seen
from reid_smoke.facts import ProbeFault, StepFacts, fact_from_json
from reid_smoke.ledger import Ledger
from reid_smoke.verdict import judge

HERE = Path(__file__).parent / "styles"
WINDOW = (50, 80)


def write_script(style: str, case: str, folder: Path) -> Path:
    """The style's two files with the case's lines changed; the script's path. ValueError: a place is not there once."""
    texts = {name: (HERE / name).read_text() for name in (f"{style}.py", "people.py")}
    for place, lines in EDITS[style][case].items():
        anchor = PLACES[style][place]
        if place == "drawn":
            lines = ["{old}", *lines] if style == "losses_in_a_dict" else [*lines, "{old}"]
        rows = [(n, i) for n, t in texts.items() for i, row in enumerate(t.split("\n")) if row.strip() == anchor]
        if len(rows) != 1:
            raise ValueError(f"{style}: the line of {place!r}, {anchor!r}, is there {len(rows)} times, not once")
        (name, at) = rows[0]
        all_rows = texts[name].split("\n")
        indent = all_rows[at][: len(all_rows[at]) - len(anchor)]
        new = [indent + line.replace("{old}", anchor).replace("{neck}", NECK[style]) for line in lines]
        texts[name] = "\n".join([*all_rows[:at], *new, *all_rows[at + 1 :]])
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder / f"{style}.py"


def run_script(case: str, wanted: tuple[str, ...], style: str, seed: int, device: str, facts: Path | None) -> Outcome:
    """Watch the script until the verdict is certain. Never raises: what goes wrong is in the outcome."""
    assert style in STYLES, style
    begun = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            script = write_script(style, case, folder)
            done = subprocess.run(
                [sys.executable, "-m", "reid_smoke", "watch", "--window", f"{WINDOW[0]}:{WINDOW[1]}", "--stop",
                 "--out", str(folder / "out"), str(script), str(seed), device],
                capture_output=True, text=True, timeout=300, cwd=folder,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": _path()},
            )  # fmt: skip
            report = folder / "out" / "report.json"
            if not report.exists():
                raise RuntimeError(f"no report, exit {done.returncode}: {done.stderr.strip()[-500:]}")
            document = json.loads(report.read_text())
            written = folder / "out" / "facts.jsonl"
            if facts is not None:
                facts.mkdir(parents=True, exist_ok=True)
                shutil.copy(written, facts / f"{case}-{style}-{seed}.jsonl")
            return _outcome(document, written, case, wanted, style, seed, begun)
    except Exception as error:
        return Outcome(
            case, wanted, "watch", style, seed, "none", "the bench failed", (), None, None, 0,
            (f"{type(error).__name__}: {error}",), time.perf_counter() - begun,
        )  # fmt: skip


def _outcome(
    document: dict[str, Any], facts: Path, case: str, wanted: tuple[str, ...], style: str, seed: int, begun: float
) -> Outcome:
    found = tuple((f["slug"], f["severity"], f["evidence"]) for f in document["findings"])
    seen = _replay(facts, wanted)
    failed = [f"{r['code']}: {r['error']}" for r in document["checks"]["results"] if r["status"] == "error"]
    failed += [f"{fault.probe}: {fault.message}" for fault in Ledger.read(facts).all(ProbeFault)]
    return Outcome(
        case, wanted, "watch", style, seed, document["verdict"], document["reason"], found, seen.step, seen.updates,
        document["global_step"] or 0, tuple(failed), time.perf_counter() - begun,
    )  # fmt: skip


def _replay(facts: Path, wanted: tuple[str, ...]) -> Seen:
    """When the wanted finding first came up: the facts once more, one by one, judged at the project's own pace."""
    ledger = Ledger()
    seen = Seen(wanted, WINDOW, ledger)
    for line in facts.read_text().splitlines():
        fact = fact_from_json(line)
        ledger.add(fact)
        if isinstance(fact, StepFacts):
            seen.is_certain(fact.step)
    seen.note(judge(ledger, ended=True))
    return seen


def _path() -> str:
    """This package goes first; what else was found on the way to it stays."""
    import reid_smoke

    package = str(Path(reid_smoke.__file__).parent.parent)
    return os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
