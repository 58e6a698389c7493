"""The triage bench: of the faults that make CE fail, how many does `triage` find a change for that mends them?

    python scripts/bench_triage.py                                    all, on the set-ups that there is data for
    python scripts/bench_triage.py --setups bnneck --seeds 1          the small one
    python scripts/bench_triage.py --omniglot data/omniglot           that set-up too (see scripts/make_omniglot.py)
    python scripts/bench_triage.py --jobs 16 --shard 1/3 --out one.json
    python scripts/bench_triage.py --merge one.json two.json three.json --table README.md

Each fault of the fault bench is put into a training and tried in two ways: `replay`, as `watch --triage` does it on
what it kept of any training, and, where the mistake is one that a config can hold, `config`, as `reid-smoke triage`
does it. What mends a fault is written beside it in the bench's register, which the trials never see.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from fault_bench.shard import shard, share


def main() -> int:
    arguments = _arguments()
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: the cases run side by side instead
    from fault_bench.trials_table import report, write_table

    if arguments.merge:
        outcomes = [outcome for path in arguments.merge for outcome in json.loads(path.read_text())]
    else:
        outcomes = _run(arguments)
    print(report(outcomes))
    if arguments.table:
        write_table(outcomes, arguments.table)
    return 0


def _run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Runs the cases side by side, and says how each went."""
    from fault_bench.trials import run_triage_key, triage_keys

    keys = triage_keys(
        arguments.omniglot,
        arguments.seeds,
        [name for name in arguments.setups.split(",") if name],
        [word for word in arguments.only.split(",") if word],
        ("config", "replay") if arguments.way == "both" else (arguments.way,),
    )
    keys = share(keys, arguments.shard)
    outcomes: list[dict[str, Any]] = []
    begun = time.perf_counter()
    with get_context("spawn").Pool(arguments.jobs, maxtasksperchild=20) as pool:
        for outcome in pool.imap_unordered(run_triage_key, keys):
            outcomes.append(outcome)
            if arguments.out:  # each time: what is cut off keeps what it came to
                arguments.out.write_text(json.dumps(outcomes, indent=1))
            mark = "!!" if outcome["wrong"] or outcome["error"] else ".." if not outcome["counts"] else "ok"
            mark = "--" if outcome["counts"] and not outcome["found"] else mark
            print(
                f"{len(outcomes):4}/{len(keys)} {time.perf_counter() - begun:5.0f} s  {mark} {outcome['way']:6} "
                f"{outcome['setup']:8} {outcome['case']:36} CE {outcome['ce']:8} {outcome['seconds']:5.1f} s "
                f"{outcome['ended']:13} {' and '.join(outcome['found']) or '-'} {outcome['error']}",
                file=sys.stderr,
                flush=True,
            )
    return sorted(outcomes, key=lambda o: (o["way"], o["case"], o["setup"], o["seed"]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--way", choices=("both", "config", "replay"), default="both")
    parser.add_argument("--omniglot", type=Path, help="Omniglot in Market-1501's layout, for the third set-up")
    parser.add_argument("--setups", default="", help="names, separated by commas; all by default")
    parser.add_argument("--seeds", type=int, default=1, help="how many (1)")
    parser.add_argument("--only", default="", help="cases and slugs whose name holds one of these, separated by commas")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="processes side by side")
    parser.add_argument("--shard", type=shard, default=(1, 1), metavar="I/N", help="every N-th case, from the I-th")
    parser.add_argument("--out", type=Path, help="write the outcomes as JSON")
    parser.add_argument("--merge", type=Path, nargs="+", help="run nothing: put outcomes together")
    parser.add_argument("--table", type=Path, help="write the table into this file, between its two marks")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
