"""The fault bench: every fault of the catalogue put into trainings that are healthy without it, and healthy controls.

    python scripts/bench_faults.py                                    all, on the set-ups that there is data for
    python scripts/bench_faults.py --omniglot data/omniglot           that set-up too (see scripts/make_omniglot.py)
    python scripts/bench_faults.py --jobs 16 --shard 1/3 --out one.json
    python scripts/bench_faults.py --merge one.json two.json three.json --table README.md
    python scripts/bench_faults.py --peers --setups bnneck --seeds 1  other tools on the same trainings, beside ours

Each case is a training of its own, watched and judged as `reid-smoke run` does it. The checks see its facts and nothing
else: the name of what was put in stays in the bench. What the other tools say is kept in the outcomes, word for word;
fault_bench/peers.py says how each is attached, and fault_bench/peer_grades.py which words count as naming a cause.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from fault_bench.shard import shard, share


def main() -> int:
    arguments = _arguments()
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: the cases run side by side instead
    from fault_bench.cases import all_cases
    from fault_bench.peer_grades import BEGIN, END, peers_markdown, peers_report, without_words
    from fault_bench.peers import missing
    from fault_bench.table import put_between, report, write_table

    if arguments.merge:
        outcomes = [outcome for path in arguments.merge for outcome in json.loads(path.read_text())]
    else:
        if arguments.peers and (absent := missing()):
            print(f"{', '.join(absent)} not installed: pip install 'reid-smoke[peers]'", file=sys.stderr)
            return 2
        if arguments.peers and (wordless := without_words()):
            print(f"fault_bench/peer_grades.py has no words for {', '.join(wordless)}", file=sys.stderr)
            return 2
        keys = share(all_cases(arguments), arguments.shard)
        if arguments.facts:
            arguments.facts.mkdir(parents=True, exist_ok=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as `timeout` sends it: what was run is not lost
        outcomes = _run(keys, arguments)
        if arguments.out:
            arguments.out.write_text(json.dumps(outcomes, indent=1))
    print(report(outcomes))
    with_peers = [outcome for outcome in outcomes if "peers" in outcome]
    if with_peers:
        print(peers_report(with_peers))
    if arguments.table and with_peers:  # a comparison on one set-up is not the fault bench's table
        put_between(arguments.table, BEGIN, END, peers_markdown(with_peers))
    elif arguments.table:
        write_table(outcomes, arguments.table)
    return 0


def _run(keys: list[Any], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Runs the cases side by side, and says how each went."""
    from fault_bench.cases import run_key

    outcomes: list[dict[str, Any]] = []
    begun = time.perf_counter()
    with (
        suppress(KeyboardInterrupt),
        get_context("spawn").Pool(arguments.jobs, initializer=_left_to_the_parent, maxtasksperchild=50) as pool,
    ):
        for outcome in pool.imap_unordered(run_key, keys):
            outcomes.append(outcome)
            first = ", ".join(slug for slug, _, _ in outcome["found"]) or "-"
            mark = "ok" if outcome["ok"] else "!!"
            print(
                f"{len(outcomes):4}/{len(keys)} {time.perf_counter() - begun:5.0f} s  {mark} {outcome['setup']:9} "
                f"{outcome['case']:40} {outcome['verdict']:8} {outcome['certain_updates']!s:>4} {first}",
                file=sys.stderr,
                flush=True,
            )
            for error in outcome["errors"]:
                print(f"       {error}", file=sys.stderr, flush=True)
    return sorted(outcomes, key=lambda o: (o["way"], o["case"], o["setup"], o["seed"]))


def _left_to_the_parent() -> None:
    """A worker goes on when everybody is interrupted: its parent ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--way", choices=("run", "watch"), default="run", help="through parts, or through scripts")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the scripts train (cpu)")
    parser.add_argument("--omniglot", type=Path, help="Omniglot in Market-1501's layout, for the third set-up")
    parser.add_argument("--setups", default="", help="names, separated by commas; all by default")
    parser.add_argument("--seeds", type=int, default=3, help="how many (3)")
    parser.add_argument("--only", default="", help="cases and slugs whose name holds one of these, separated by commas")
    parser.add_argument("--kind", choices=("all", "faults", "controls"), default="all")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="processes side by side")
    parser.add_argument("--shard", type=shard, default=(1, 1), metavar="I/N", help="every N-th case, from the I-th")
    parser.add_argument("--peers", action="store_true", help="run the tools of the extra `peers` on them, too")
    parser.add_argument("--out", type=Path, help="write the outcomes as JSON")
    parser.add_argument("--facts", type=Path, help="keep each training's facts.jsonl in this folder")
    parser.add_argument("--merge", type=Path, nargs="+", help="run nothing: put outcomes together")
    parser.add_argument("--table", type=Path, help="write the table into this file, between its two marks")
    arguments = parser.parse_args()
    if arguments.peers and arguments.way == "watch":
        parser.error("--peers goes through parts: leave --way out")
    if arguments.device != "cpu" and arguments.way != "watch":
        parser.error("--device is the scripts': add --way watch")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
