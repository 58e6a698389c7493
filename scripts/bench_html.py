"""How long report.html takes to be made, and how large it is.

    python scripts/bench_html.py [--rounds 5] [--steps 300 100000]

For each number of steps a ledger is made up: a falling CE with noise, all that a page plots, a contact sheet of noise.
`reid-smoke report RUN_DIR --format html` is run on it as a process of its own, and all of that is in the time: starting
Python, reading the facts, judging, drawing.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from math import log
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from reid_smoke.facts import DatasetFacts, EndFacts, RunFacts, StepFacts
from reid_smoke.ledger import Ledger

CLASSES = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, nargs="+", default=[300, 100_000])
    arguments = parser.parse_args()
    for steps in arguments.steps:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_run(folder, steps)
            took = sorted(_seconds(folder) for _ in range(arguments.rounds))
            size = (folder / "report.html").stat().st_size / 1e6
        print(
            f"{steps:7,} steps: {median(took):6.2f} s (median of {len(took)}: {took[0]:.2f} to {took[-1]:.2f}), "
            f"{size:.2f} MB"
        )


def _seconds(folder: Path) -> float:
    begun = time.perf_counter()
    ended = subprocess.run(
        (sys.executable, "-m", "reid_smoke", "report", folder, "--format", "html"),
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if ended.returncode not in (0, 1):  # the verdict's
        sys.exit(f"`reid-smoke report` ended with {ended.returncode}")
    return time.perf_counter() - begun


def write_run(folder: Path, steps: int) -> None:
    """A run's folder with what a page is made from."""
    noise = random.Random(0)
    ledger = Ledger(folder / "facts.jsonl")
    ledger.add(RunFacts(way_in="run", name="made-up", command="reid-smoke run made-up.yaml", steps_per_epoch=320))
    ledger.add(
        DatasetFacts(
            source="made up", images=3200, identities=CLASSES, cameras=6, num_classes=CLASSES, label_min=0,
            label_max=CLASSES - 1, labels_out_of_range=0, images_per_identity=(8, 8, 8),
        )
    )  # fmt: skip
    for n in range(1, steps + 1):
        ledger.add(_step(n, steps, noise))
    ledger.add(EndFacts(step=steps, how="finished", startup_s=4, train_s=steps, images_per_s=10, data_wait_share=0.01))
    ledger.close()
    pixels = np.random.default_rng(0).integers(0, 256, (600, 1400, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "contact-sheet.jpg", quality=60)  # noise: no picture is larger


def _step(n: int, steps: int, noise: random.Random) -> StepFacts:
    ce = log(CLASSES) - 3 * n / steps + noise.gauss(0, 0.2)
    gradient, backbone = (abs(noise.gauss(1, 0.3)) + 1e-3 for _ in range(2))
    return StepFacts(
        step=n,
        epoch=(n - 1) // 320 + 1,
        step_in_epoch=(n - 1) % 320 + 1,
        ce=ce,
        loss=ce,
        top1=noise.random(),
        batch=10,
        label_min=0,
        label_max=CLASSES - 1,
        distinct_labels=10,
        logit_std=noise.random(),
        feat_norm=8.0,
        feat_cosine=0.2,
        channels_alive=1.0,
        head_norm=1 + n / steps,
        head_update=noise.random() / 100 + 1e-4,
        head_moved=0.2,
        head_grad_before=0.0,
        head_grad=gradient,
        head_grad_applied=gradient / 2,
        backbone_grad=backbone,
        backbone_grad_applied=backbone / 2,
        backbone_update=1e-5,
        lr_head=1e-2 * (1 - n / steps) + 1e-6,
        lr_backbone=1e-5,
        amp_scale=2.0 ** (16 - n * 8 // steps),
        applied=True,
        events="zbs",
        data_s=0.001,
        compute_s=0.1,
    )


if __name__ == "__main__":
    main()
