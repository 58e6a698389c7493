"""What the probes cost: the reference loop with and without them, in turns within one run.

    python scripts/bench_probes.py [CONFIG] [--rounds 12] [--steps 25]

Every round trains `steps` batches bare and `steps` batches watched, in an order that changes from round to round, on
the same model. Printed are the medians of a step's time, and the ratio of each round's two turns (the machine's moods
are in both). What a watched run does once, looking for the living modules at its first step, is timed apart.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from reid_smoke.build.data.loader import build_loader
from reid_smoke.build.data.training_set import open_training_set
from reid_smoke.build.training import build_training, resolve_device
from reid_smoke.config.load import load_config
from reid_smoke.ledger import Ledger
from reid_smoke.probes.observer import Observer
from reid_smoke.train.loop import train
from reid_smoke.watch.hooks import observing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", type=Path, default=Path("configs/demo.yaml"))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=25)
    arguments = parser.parse_args()

    config = load_config(arguments.config)
    training_set = open_training_set(config.data)
    loader = build_loader(training_set, config.data, seed=0, on_unreadable=print)
    training = build_training(config, training_set, loader, resolve_device(config.device))
    if training.device.type == "cuda":
        import torch

        synchronize = torch.cuda.synchronize
    else:
        synchronize = _nothing

    with tempfile.TemporaryDirectory() as folder:
        observer = Observer(Ledger(Path(folder) / "facts.jsonl"))

        def turn(watched: bool, steps: int) -> float:
            """Milliseconds per step."""
            synchronize()
            begun = time.perf_counter()
            if watched:
                with observing(observer):
                    train(training, max_steps=steps, stop=lambda step: bool(observer.settle()))
            else:
                train(training, max_steps=steps, stop=lambda step: False)
            synchronize()
            return 1e3 * (time.perf_counter() - begun) / steps

        turn(False, 5)
        first = turn(True, 1)  # finds the living modules, walks the graph
        turn(True, 9)
        rounds = []
        for number in range(arguments.rounds):
            order = (True, False) if number % 2 else (False, True)
            times = {watched: turn(watched, arguments.steps) for watched in order}
            rounds.append((times[False], times[True]))

    bare, with_probes = (median(r[i] for r in rounds) for i in (0, 1))
    ratios = sorted(watched / alone for alone, watched in rounds)
    print(f"{arguments.config}, {training.device}, {arguments.rounds} rounds of 2 x {arguments.steps} steps")
    print(f"bare     {bare:8.2f} ms a step (median)")
    print(f"watched  {with_probes:8.2f} ms a step (median)")
    print(f"ratio    {median(ratios):8.3f} (median of pairs; least {ratios[0]:.3f}, most {ratios[-1]:.3f})")
    print(f"first watched step {first:.0f} ms, of which {first - bare:.0f} ms once for the look at what is alive")


def _nothing() -> None:
    pass


if __name__ == "__main__":
    main()
