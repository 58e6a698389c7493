"""What `reid-smoke watch` costs a training: in a step, at the start, in memory, and over 100,000 steps.

    python scripts/bench_watch.py step [--rounds 12] [--steps 10]       3 % of a step at most
    python scripts/bench_watch.py start [--rounds 5]                    1 s and 300 MiB at most
    python scripts/bench_watch.py long [--steps 100000]                 flat memory, facts.jsonl under 50 MB

`step` trains ResNet-18 at 128x64, batch 32, on a GPU ResNet-50 at 256x128, batch 64, bare and watched in turns within
one process, in an order that changes from round to round, so that the machine's moods are in both; the ratio is the
median over the rounds' pairs: while each step is measured, and as it is long after the window. `start` runs the same
small script under python and under `reid-smoke watch`, in pairs of processes. `long` trains a tiny linear model under
`watch` and prints the memory in use as it goes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from statistics import median

LONG = 12_000  # steps
SCRIPT = """
import resource, time
import torch
from torch import nn
from torchvision.models import resnet18

model = resnet18(num_classes=400)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
begun = time.perf_counter()
for _ in range(3):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(torch.randn(32, 3, 128, 64)), torch.randint(400, (32,))).backward()
    optimizer.step()
print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True)
    for measure, rounds, steps in ((bench_step, 12, 10), (bench_start, 5, 3), (bench_long, 1, 100_000)):
        kind = kinds.add_parser(measure.__name__.removeprefix("bench_"))
        kind.add_argument("--rounds", type=int, default=rounds)
        kind.add_argument("--steps", type=int, default=steps)
        kind.add_argument("--device", default="cpu")
        kind.set_defaults(measure=measure)
    arguments = parser.parse_args()
    arguments.measure(arguments.rounds, arguments.steps, arguments.device)


def bench_step(rounds: int, steps: int, device: str) -> None:
    import torch
    from torch.nn import functional as F
    from torchvision.models import resnet18, resnet50

    import reid_smoke
    from reid_smoke.checks.catalogue import catalogue
    from reid_smoke.probes.density import DENSE_UNTIL, EARLY_STRIDE
    from reid_smoke.watch import live
    from reid_smoke.watch.hooks import observing

    torch.manual_seed(0)
    on_gpu = device.startswith("cuda")  # what is small enough for a CPU leaves a GPU waiting for Python
    make, name, batch, height = (resnet50, "ResNet-50", 64, 256) if on_gpu else (resnet18, "ResNet-18", 32, 128)
    model = make(num_classes=400).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    images = torch.randn(batch, 3, height, height // 2, device=device)
    labels = [torch.randint(400, (batch,), device=device) for _ in range(4)]  # no two batches have the same
    synchronize: Callable[[], object] = torch.cuda.synchronize if on_gpu else (lambda: None)

    def train(count: int) -> float:
        """Milliseconds per step."""
        synchronize()
        begun = time.perf_counter()
        for number in range(count):
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels[number % len(labels)]).backward()
            optimizer.step()
        synchronize()
        return 1e3 * (time.perf_counter() - begun) / count

    with tempfile.TemporaryDirectory() as folder:
        watch = reid_smoke.watch(out=folder, window=(200, 10**6))  # never certain, so that it judges all the way
        watch.start()
        observer = watch._observer
        watch._undo.close()  # the hooks come and go below, turn by turn
        catalogue()  # the checks are found at the first judgement, which is part of starting
        judged = []
        judge = live.judge

        def timed(ledger: object, *, ended: bool) -> object:
            begun = time.perf_counter()
            try:
                return judge(ledger, ended=ended)
            finally:
                judged.append(1e3 * (time.perf_counter() - begun))

        live.judge = timed
        train(3)
        with observing(observer):
            first = train(1)
            train(9)

        def in_turns() -> list[tuple[float, float]]:
            pairs = []
            for number in range(rounds):
                times = {}
                for watched in (True, False) if number % 2 else (False, True):
                    with observing(observer) if watched else nullcontext():
                        times[watched] = train(steps)
                pairs.append((times[False], times[True]))
            return pairs

        dense = in_turns()
        judgements, dense_steps = len(judged), observer.step
        observer.dense_until = observer.step  # as if the window lay far behind
        sparse = in_turns()
        live.judge = judge
        watch.finish(None)
    size = f"{height}x{height // 2}, batch {batch}"
    print(f"{name}, {size}, {device}, {torch.get_num_threads()} threads, {rounds} x 2 x {steps} steps, twice")
    of_dense = report(f"each step measured, as up to step {DENSE_UNTIL:,}", dense)
    of_sparse = report(f"each {EARLY_STRIDE}th step measured, as from there on", sparse)
    whole = (DENSE_UNTIL * of_dense + (LONG - DENSE_UNTIL) * of_sparse) / LONG
    print(f"so of {LONG:,} steps, 60 epochs of Market-1501 at batch 64: {whole:.3f}")
    print(f"of which judging {sum(judged) / observer.step:.2f} ms a step, {judgements} times in {dense_steps} steps")
    once = first - median(bare for bare, _ in dense)
    print(f"first watched step {first:.0f} ms, of which {once:.0f} ms once for the look at what is alive")


def report(what: str, pairs: list[tuple[float, float]]) -> float:
    """Print what the pairs (bare, watched) of ms a step tell. Their median ratio."""
    ratios = sorted(watched / bare for bare, watched in pairs)
    bare, watched = (median(pair[side] for pair in pairs) for side in (0, 1))
    print(
        f"{what}: bare {bare:.2f} ms, watched {watched:.2f} ms (medians), "
        f"ratio {median(ratios):.3f} (median of pairs; {ratios[0]:.3f} to {ratios[-1]:.3f})"
    )
    return median(ratios)


def bench_start(rounds: int, steps: int, device: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "script.py").write_text(SCRIPT)

        def run(*command: str) -> tuple[float, float]:
            """Seconds that are not training, and MiB at most."""
            begun = time.perf_counter()
            ended = subprocess.run(
                [sys.executable, *command, "script.py"],
                cwd=folder, env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            whole = time.perf_counter() - begun
            trained, memory = map(float, ended.stdout.split())
            return whole - trained, memory / 1024

        bare, watch = (), ("-m", "reid_smoke", "watch")
        run(*bare), run(*watch)  # fill the caches of the disk
        pairs = [(run(*bare), run(*watch)) for _ in range(rounds)]
    for index, unit, what in ((0, "s", "start and end"), (1, "MiB", "memory")):
        more = sorted(w[index] - b[index] for b, w in pairs)
        print(
            f"{what}: python {median(b[index] for b, _ in pairs):.2f} {unit}, under watch "
            f"{median(more):+.2f} {unit} (median of {rounds} pairs; {more[0]:+.2f} to {more[-1]:+.2f})"
        )


def bench_long(rounds: int, steps: int, device: str) -> None:
    import torch
    from torch import nn
    from torch.nn import functional as F
    from torch.utils.data import DataLoader, TensorDataset

    import reid_smoke

    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(16), nn.Linear(16, 8, bias=False)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    loader = DataLoader(TensorDataset(torch.randn(160, 16), torch.arange(160) % 8), 16, shuffle=True)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        step = 0
        with reid_smoke.watch("long", out=folder) as watch:
            while step < steps:
                for features, labels in loader:
                    step += 1
                    optimizer.zero_grad()
                    F.cross_entropy(model(features.to(device)), labels.to(device)).backward()
                    optimizer.step()
                    scheduler.step()
                    if step % (steps // 10) == 0 or step in (1, 1000, 2000):
                        size = (Path(folder) / "facts.jsonl").stat().st_size / 1e6
                        took = time.perf_counter() - begun
                        print(
                            f"step {step:>7}  {_resident():7.1f} MiB  facts.jsonl {size:6.2f} MB, "
                            f"{len(watch.ledger.steps)} steps kept  {took:6.1f} s",
                            flush=True,
                        )
                    if step == steps:
                        break
        size = (Path(folder) / "report.json").stat().st_size / 1e6
        print(f"at the end {_resident():.1f} MiB, report.json {size:.2f} MB, {watch.report.verdict}")


def _resident() -> float:
    """MiB of memory in use by this process."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
