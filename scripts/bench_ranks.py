"""What several GPUs make of a run: images a second of the reference loop on all of them, beside those of one.

    python scripts/bench_ranks.py [--gpus 2] [--rounds 3] [--steps 300] [--backbone resnet50] [--batch 64]

Set, model and loop are the `run` of bench_gpu.py, probes and judging included, with `--batch` images on each GPU. One
GPU and several take turns; each turn is a process, or several under torchrun, of its own. Printed are the medians over
the rounds, by the slowest rank of each turn, and the ratios of the pairs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import torch
from bench_gpu import GPU, images_a_second, plan, watched, write_jpegs

from reid_smoke.build.data.training_set import open_training_set
from reid_smoke.train.ranks import device_of, find_place, join


def main() -> None:
    arguments = parse_arguments()
    if arguments.one_of_them:
        train_as_one_of_them(arguments, arguments.one_of_them)
        return
    if torch.cuda.device_count() < arguments.gpus:
        raise SystemExit(f"bench_ranks: needs {arguments.gpus} CUDA devices, and there are {torch.cuda.device_count()}")
    speeds: dict[int, list[float]] = {1: [], arguments.gpus: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_jpegs(folder)
        for number in range(arguments.rounds):
            for gpus in sorted(speeds, reverse=number % 2 == 1):
                speeds[gpus].append(speed_of(gpus, folder))
                print(f"round {number + 1}, on {gpus}: {speeds[gpus][-1]:.0f} images/s", file=sys.stderr, flush=True)

    versions = f"torch {torch.__version__}, NCCL {'.'.join(map(str, torch.cuda.nccl.version()))}"
    print(f"{torch.cuda.get_device_name(GPU)}, {versions}")
    print(f"{arguments.backbone}, 256x128, batch {arguments.batch} on each GPU")
    for gpus, values in speeds.items():
        low, high = min(values), max(values)
        print(f"on {gpus}: {median(values):6.0f} images/s (median of {len(values)}: {low:.0f} to {high:.0f})")
    ratios = [several / one for one, several in zip(speeds[1], speeds[arguments.gpus], strict=True)]
    print(f"{arguments.gpus} / 1 {median(ratios):.3f} (median of pairs; {min(ratios):.3f} to {max(ratios):.3f})")


def speed_of(gpus: int, folder: Path) -> float:
    """Images a second of so many GPUs together."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(gpus)] if gpus > 1 else []
    command = [sys.executable, *launcher, *sys.argv, "--one-of-them", str(folder)]
    subprocess.run(command, check=True)
    rates = [float(path.read_text()) for path in folder.glob("rate-*")]
    for path in folder.glob("rate-*"):
        path.unlink()
    return gpus * min(rates)


def train_as_one_of_them(arguments: argparse.Namespace, folder: Path) -> None:
    place = find_place()
    ranks = join(place, device_of(place, GPU))
    config = plan(folder, arguments.steps, arguments.backbone, arguments.batch, "flip,pad_crop")
    times = watched(config, open_training_set(config.data), arguments.steps, folder, ranks)
    (folder / f"rate-{place.rank}").write_text(str(images_a_second(times, arguments.batch)))
    ranks.leave()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--one-of-them", type=Path, help=argparse.SUPPRESS)  # what it starts itself with, and the set
    return parser.parse_args()


if __name__ == "__main__":
    main()
