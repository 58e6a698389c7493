"""What `reid-smoke watch` costs a training: in a step, at the start, in memory, and over 100,000 steps.

    python scripts/bench_watch.py step [--rounds 12] [--steps 10]       3 % of a step at most
    python scripts/bench_watch.py start [--rounds 5]                    1 s and 300 MiB at most
    python scripts/bench_watch.py long [--steps 100000]                 flat memory, facts.jsonl under 50 MB

`step` trains ResNet-18 at 128x64, batch 32, on a GPU ResNet-50 at 256x128, batch 64, bare and watched in turns within
one process, in an order that changes from round to round, so that the machine's moods are in both; the ratio is the
median over the rounds: while each step is measured, where some are left out, and as it is long after the window. Walks
of the graph are too rare for a median, so they are timed by themselves and added. `start` runs the same
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
from typing import Any

LONG = 12_000  # steps
BARE, ALL, DENSE, LATE = "bare", "all", "dense", "late"
WAYS = {
    BARE: "bare",
    ALL: "each step measured",
    DENSE: "4 of 11 measured, on a GPU up to step 2,000",
    LATE: "each 11th measured, from there on",
}
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
    from reid_smoke.probes.density import ALL_UNTIL, DENSE_UNTIL, WALK_EACH
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
        judged = clocked(live, "judge")
        looks = clocked(type(observer), "_look")
        train(3)
        with observing(observer):
            first = train(1)
            train(59)
        spares = not observer._measures_all  # steps, as it does on a GPU
        judged.clear()
        begun, ways = observer.step, list(WAYS if spares else {way: WAYS[way] for way in (BARE, ALL, LATE)})
        times: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(rounds):
            for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
                observer._measures_all = way == ALL
                watch._live.is_over = way == LATE
                observer.dense_until = observer.step if way == LATE else 10**6
                if way != BARE:
                    looks_before = len(looks)
                with observing(observer) if way != BARE else nullcontext():
                    times[way].append(train(steps))
                if way != BARE:
                    times[way][-1] -= sum(looks[looks_before:]) / steps
        watched, judgements = observer.step - begun, sum(judged)
        watch.finish(None)
    bare = median(times[BARE])
    walks = median(looks[1:]) / WALK_EACH  # but the first, which is told below
    size = f"{height}x{height // 2}, batch {batch}"
    print(f"{name}, {size}, {device}, {torch.get_num_threads()} threads, {rounds} rounds of {steps} steps each way")
    print(f"bare {bare:.2f} ms (median)")
    ratios = {way: report(WAYS[way], times[BARE], times[way]) + walks / bare for way in ways if way != BARE}
    print(f"in each, for a walk of the graph at every {WALK_EACH}th step: {walks:.3f} ms a step, {walks / bare:.3f}")
    early = ratios[DENSE if spares else ALL]
    whole = (ALL_UNTIL * ratios[ALL] + (DENSE_UNTIL - ALL_UNTIL) * early + (LONG - DENSE_UNTIL) * ratios[LATE]) / LONG
    print(f"with it: {early:.3f} up to step {DENSE_UNTIL:,}, {ratios[LATE]:.3f} from there on")
    print(f"so of {LONG:,} steps, 60 epochs of Market-1501 at batch 64: {whole:.3f}")
    print(f"of which judging {judgements / watched:.2f} ms a step")
    print(f"first watched step {first:.0f} ms, of which {first - bare:.0f} ms once for the look at what is alive")


def clocked(owner: Any, name: str) -> list[float]:
    """Milliseconds of each call from now on."""
    taken: list[float] = []
    function = getattr(owner, name)

    def timed(*args: Any, **kwargs: Any) -> Any:
        begun = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            taken.append(1e3 * (time.perf_counter() - begun))

    setattr(owner, name, timed)
    return taken


def report(what: str, bare: list[float], watched: list[float]) -> float:
    """Print what the times tell, ms a step, round by round. Their median ratio."""
    ratios = sorted(ours / theirs for theirs, ours in zip(bare, watched, strict=True))
    low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
    print(
        f"{what}: {median(watched):.2f} ms, ratio {median(ratios):.3f} (median of {len(ratios)} pairs; "
        f"half of them {low:.3f} to {high:.3f}, all {ratios[0]:.3f} to {ratios[-1]:.3f})"
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
