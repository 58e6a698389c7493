"""How long all checks together take to judge a run.

    python scripts/bench_judge.py                      a demo is run first, 300 steps
    python scripts/bench_judge.py runs/FOLDER [--times 50]

What is measured is `judge`: the curve, every check of the catalogue and the verdict, over a ledger that has been read.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from reid_smoke.checks.catalogue import catalogue
from reid_smoke.errors import CouldNotJudge
from reid_smoke.ledger import Ledger
from reid_smoke.verdict import judge


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", help="a run's folder; without it the demo is run")
    parser.add_argument("--times", type=int, default=50)
    arguments = parser.parse_args()
    if arguments.times < 1:
        parser.error("--times counts from 1")
    if arguments.run:
        ledger = _read(arguments.run)
    else:
        with tempfile.TemporaryDirectory() as folder:
            ledger = _demo(Path(folder) / "demo")

    checks = len(catalogue())  # found by importing the package of checks, which is part of starting and not of judging
    took = []
    for _ in range(arguments.times):
        begun = time.perf_counter()
        judgement = judge(ledger, ended=True)
        took.append(1000 * (time.perf_counter() - begun))
    asked = sum(result.status != "skipped" for result in judgement.results)
    print(f"{judgement.verdict.word}: {len(ledger.steps)} steps, {asked} of {checks} checks had what they need")
    print(f"judge {median(took):8.2f} ms (median of {len(took)}: {min(took):.2f} to {max(took):.2f})")


def _demo(out: Path) -> Ledger:
    command = (sys.executable, "-m", "reid_smoke", "run", "configs/demo.yaml", "--out", str(out))
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"the demo ended with {done.returncode}: {done.stderr.strip()}")
    return _read(out)


def _read(run: Path) -> Ledger:
    try:
        return Ledger.read(run / "facts.jsonl")
    except CouldNotJudge as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
