"""What a GPU makes of a run: images a second of the reference loop, beside a bare step and beside a classic loop.

    python scripts/bench_gpu.py [--rounds 3] [--steps 300] [--backbone resnet50] [--batch 64]

400 rendered identities are written as JPEG files of 128x64 and trained on at 256x128. In turns, within one process:

    bare      one captured step (forward, backward, AdamW; bf16, channels last) on random tensors that lie on the GPU
    run       `reid-smoke run` from the JPEG files: decoding, augmentation, probes, judging, facts on disk
    no probes the same without anybody watching
    classic   Pillow transforms in 8 workers, eager fp32 (TF32 convolutions), `.item()` a step

Printed are the medians over the rounds, and the ratios of each round's turns.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from PIL import Image
from torch.nn import functional as F
from torchvision import transforms

from reid_smoke.build.data.loader import build_loader
from reid_smoke.build.data.pedestrians import render_pedestrians
from reid_smoke.build.data.training_set import TrainingSet, open_training_set
from reid_smoke.build.training import Training, build_training
from reid_smoke.config.schema import Config
from reid_smoke.ledger import Ledger
from reid_smoke.plan import Plan, run_facts
from reid_smoke.report.live import LiveDisplay
from reid_smoke.train.captured import choose_learner
from reid_smoke.train.loop import train
from reid_smoke.train.ranks import ALONE, Ranks, device_of
from reid_smoke.until_certain import train_until_certain

BEGIN = 40  # steps of each turn that are not counted: the capture, and caches that fill
GPU = torch.device("cuda")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--augment", default="flip,pad_crop")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("bench_gpu: needs a CUDA device")

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_jpegs(folder)
        steps = arguments.steps
        config = plan(folder, steps, arguments.backbone, arguments.batch, arguments.augment)
        training_set = open_training_set(config.data)
        arms: dict[str, Callable[[], list[float]]] = {
            "bare": lambda: bare(config, training_set, steps),
            "run": lambda: watched(config, training_set, steps, folder),
            "no probes": lambda: unwatched(config, training_set, steps),
            "classic": lambda: classic(config, training_set, steps),
        }
        speeds: dict[str, list[float]] = {arm: [] for arm in arms}
        for number in range(arguments.rounds):
            order = list(arms) if number % 2 == 0 else list(arms)[::-1]
            for arm in order:
                times = arms[arm]()
                torch.cuda.empty_cache()
                speeds[arm].append(images_a_second(times, arguments.batch))

    versions = f"torch {torch.__version__}, CUDA {torch.version.cuda}"
    print(f"{torch.cuda.get_device_name(GPU)}, {versions}, {arguments.backbone}, 256x128, batch {arguments.batch}")
    for arm, values in speeds.items():
        low, high = min(values), max(values)
        print(f"{arm:10} {median(values):8.0f} images/s (median of {len(values)}: {low:.0f} to {high:.0f})")
    for one, other in (("run", "bare"), ("run", "no probes"), ("run", "classic")):
        ratios = [a / b for a, b in zip(speeds[one], speeds[other], strict=True)]
        print(f"{one} / {other:10} {median(ratios):.3f} (median of pairs; {min(ratios):.3f} to {max(ratios):.3f})")


def plan(folder: Path, steps: int, backbone: str, batch: int, augment: str) -> Config:
    return Config.model_validate(
        {
            "name": "bench",
            "data": {
                "source": "market1501", "root": str(folder), "batch_size": batch,
                "augment": [word for word in augment.split(",") if word],
            },
            "model": {"backbone": backbone},
            "train": {"amp": "bf16", "steps": steps},
            "rule": {"window": [steps * 2 // 3, steps]},
        }
    )  # fmt: skip


def images_a_second(times: list[float], batch: int) -> float:
    """After the steps that are not counted."""
    return batch * (len(times) - 1 - BEGIN) / (times[-1] - times[BEGIN])


def write_jpegs(folder: Path) -> None:
    """400 rendered identities in Market-1501's layout, 128x64."""
    train_folder = folder / "bounding_box_train"
    train_folder.mkdir()
    people = render_pedestrians(400, 128, 64)
    for number, (pixels, who, camera) in enumerate(
        zip(people.pixels, people.identities.tolist(), people.cameras.tolist(), strict=True)
    ):
        path = train_folder / f"{who:04d}_c{camera + 1}s1_{number:06d}_00.jpg"
        Image.fromarray(pixels).save(path, quality=92)


class Timed:
    """A loader, and when each of its batches was asked for."""

    def __init__(self, loader: Any) -> None:
        self.loader, self.times = loader, list[float]()

    def __iter__(self) -> Iterator[Any]:
        for batch in self.loader:
            self.times.append(time.perf_counter())
            yield batch


def timed_training(config: Config, training_set: TrainingSet, ranks: Ranks = ALONE) -> tuple[Training, Timed]:
    place, device = ranks.place, device_of(ranks.place, GPU)
    loader = build_loader(
        training_set, config.data, seed=0, on_unreadable=print, device=device, rank=place.rank, ranks=place.ranks
    )
    training = build_training(config, training_set, loader, device)
    timed = Timed(loader)
    return ranks.share(dataclasses.replace(training, loader=timed)), timed  # type: ignore[arg-type]


def watched(config: Config, training_set: TrainingSet, steps: int, folder: Path, ranks: Ranks = ALONE) -> list[float]:
    """When each batch was asked for, and when all was done, in seconds."""
    training, timed = timed_training(config, training_set, ranks)
    ledger = Ledger(folder / f"facts-{ranks.place.rank}.jsonl")
    ledger.add(run_facts(Plan(config, "run", "bench"), training, config.rule.window, steps))
    for fact in training.facts:
        ledger.add(fact)
    with LiveDisplay(io.StringIO()) as display:
        train_until_certain(training, ledger, display, [], steps, time.perf_counter(), ranks)
    ledger.close()
    torch.cuda.synchronize()
    return [*timed.times, time.perf_counter()]


def unwatched(config: Config, training_set: TrainingSet, steps: int) -> list[float]:
    training, timed = timed_training(config, training_set)
    train(training, max_steps=steps, stop=lambda step: False, learn=choose_learner(training))
    torch.cuda.synchronize()
    return [*timed.times, time.perf_counter()]


def bare(config: Config, training_set: TrainingSet, steps: int) -> list[float]:
    """Nothing but the step itself, replayed."""
    loader = build_loader(training_set, config.data, seed=0, on_unreadable=print)
    training = build_training(config, training_set, loader, GPU)
    model, optimizer = training.model.train(), training.optimizer
    images = torch.randn(config.data.batch_size, 3, config.data.height, config.data.width, device=GPU)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(training.num_classes, (config.data.batch_size,), device=GPU)

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            logits = model(images).logits
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(5):
            optimizer.zero_grad(set_to_none=True)
            step()
    torch.cuda.synchronize()
    optimizer.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    times = []
    for number in range(steps):
        graph.replay()
        if number == BEGIN:
            torch.cuda.synchronize()
        times.append(time.perf_counter())
    torch.cuda.synchronize()
    return [*times, time.perf_counter()]


class Files(torch.utils.data.Dataset[Any]):
    def __init__(self, training_set: TrainingSet, config: Config) -> None:
        self.samples = training_set.samples
        size = (config.data.height, config.data.width)
        self.transform = transforms.Compose(
            [
                transforms.Resize(size),
                transforms.RandomHorizontalFlip(),
                transforms.Pad(10),
                transforms.RandomCrop(size),
                transforms.ToTensor(),
                transforms.Normalize(config.data.mean, config.data.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        sample = self.samples[index]
        with Image.open(str(sample.image)) as file:
            return self.transform(file.convert("RGB")), sample.label


def classic(config: Config, training_set: TrainingSet, steps: int) -> list[float]:
    """The loop that most ReID code has."""
    data = Files(training_set, config)
    loader = torch.utils.data.DataLoader(
        data, config.data.batch_size, shuffle=True, num_workers=8, pin_memory=True, drop_last=True,
        persistent_workers=True,
    )  # fmt: skip
    plain = config.model_copy(update={"train": config.train.model_copy(update={"amp": "off"})})
    ours = build_training(plain, training_set, loader, GPU)
    model = ours.model.to(memory_format=torch.contiguous_format).train()  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    times: list[float] = []
    while True:
        for images, labels in loader:
            times.append(time.perf_counter())
            images, labels = images.to(GPU, non_blocking=True), labels.to(GPU, non_blocking=True)
            loss = F.cross_entropy(model(images).logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
            if len(times) == steps:
                torch.cuda.synchronize()
                return [*times, time.perf_counter()]


if __name__ == "__main__":
    main()
