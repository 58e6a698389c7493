"""How long the demo takes from process start to verdict, and how much memory; and how quick `--help` is.

    python scripts/bench_demo.py [--runs 3]

Whole processes, one after the other; medians. Peak memory is the largest of the run's processes, as the system
accounts for it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

COMMAND = (sys.executable, "-m", "reid_smoke")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        demos = [_demo(Path(folder) / str(number)) for number in range(arguments.runs)]
    helps = sorted(_wall("--help") for _ in range(10))
    for name, unit in (("wall", "s"), ("startup", "s before the first step"), ("memory", "MiB at most")):
        values = sorted(demo[name] for demo in demos)
        spread = f"median of {len(values)}: {values[0]:.2f} to {values[-1]:.2f}"
        print(f"demo {name:8} {median(values):7.2f} {unit} ({spread})")
    print(f"--help        {median(helps):7.3f} s (median of 10: {helps[0]:.3f} to {helps[-1]:.3f})")


def _demo(out: Path) -> dict[str, float]:
    begun = time.perf_counter()
    process = subprocess.Popen(
        (*COMMAND, "run", "configs/demo.yaml", "--out", out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    code = os.waitstatus_to_exitcode(status)
    if code:
        sys.exit(f"the demo ended with {code}; run `reid-smoke run configs/demo.yaml` to see why")
    report = json.loads((out / "report.json").read_bytes())
    return {"wall": wall, "startup": report["timing"]["startup_s"], "memory": usage.ru_maxrss / 1024}


def _wall(*arguments: str) -> float:
    begun = time.perf_counter()
    subprocess.run((*COMMAND, *arguments), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
