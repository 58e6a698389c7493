"""What SDM adds to a training step: with and without it, in turns within one run.

    python scripts/bench_sdm.py [--device cuda] [--batch 64] [--width 512] [--rounds 15] [--steps 20] [--amp bf16]

A step is forward, backward and AdamW of a ResNet-50 (last stride 1, 256x128) whose pooled feature is projected to
`width`, with a BNNeck over 400 identities, on random images that lie on the device: nothing waits for data. SDM
compares these features with as many of another side, as a text tower would give them; they are parameters of their own,
so that gradients of both sides are computed. Turns of both kinds alternate, and which of them comes first, too. Printed
are the medians of a step, and the ratio of each round's two turns.

SDM alone, forward and backward on features of that size, is timed as well: where the machine is busy, or a step takes
seconds, its share is told more exactly than by the ratio. On CUDA with `--graph` each step, and SDM alone, is one
captured CUDA graph, as `reid-smoke run` makes its steps; without it Python asks for each kernel.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reid_smoke import sdm_loss
from reid_smoke.build.backbones import build_backbone
from reid_smoke.build.model import BNNeck

IDENTITIES, WEIGHT = 400, 0.1
WARM_UP = 3  # calls of each kind before it is timed or captured


class Projected(nn.Module):
    """Images (B, 3, H, W) -> logits (B, C), BN features (B, D)."""

    def __init__(self, name: str, width: int, height: int, image_width: int) -> None:
        super().__init__()
        self.backbone, features = build_backbone(name, height=height, width=image_width, last_stride=1)
        self.project = nn.Linear(features, width)
        self.bn_neck = BNNeck(width, IDENTITIES, feat_norm=8.0)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits, feature = self.bn_neck(self.project(self.backbone(images)))
        return logits, feature


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--width", type=int, default=512, help="of the features that SDM compares")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 128), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--amp", choices=("off", "bf16"), default="off")
    parser.add_argument("--graph", action="store_true", help="CUDA: each step as one captured graph")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20, help="of each kind in a round")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if arguments.graph and device.type != "cuda":
        parser.error("--graph is of CUDA")

    torch.manual_seed(0)
    batch, (height, image_width) = arguments.batch, arguments.size
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    model = Projected(arguments.backbone, arguments.width, height, image_width)
    model = model.to(device=device, memory_format=layout).train()
    images = torch.randn(batch, 3, height, image_width, device=device).to(memory_format=layout)
    labels = torch.arange(batch, device=device) // 4 % IDENTITIES  # four of each, as PK sampling brings them
    other = nn.Parameter(torch.randn(batch, arguments.width, device=device))
    own = nn.Parameter(torch.randn(batch, arguments.width, device=device))  # what SDM alone compares with `other`
    optimizer = torch.optim.AdamW([*model.parameters(), other], lr=1e-5, fused=True, capturable=device.type == "cuda")
    amp = torch.autocast(device.type, torch.bfloat16, enabled=arguments.amp == "bf16")

    def step(with_sdm: bool) -> None:
        optimizer.zero_grad(set_to_none=True)
        with amp:
            logits, feature = model(images)
            loss = F.cross_entropy(logits.float(), labels)
            if with_sdm:
                loss = loss + WEIGHT * sdm_loss(feature, other, labels)
        loss.backward()
        optimizer.step()

    def alone() -> None:
        own.grad = other.grad = None
        with amp:
            loss = sdm_loss(own, other, labels)
        loss.backward()

    kinds: dict[str, Callable[[], None]] = {
        "without": lambda: step(False), "with": lambda: step(True), "alone": alone,
    }  # fmt: skip
    for kind, call in kinds.items():
        if arguments.graph:
            kinds[kind] = captured(call)
        else:
            for _ in range(WARM_UP):
                call()

    def turn(kind: str) -> float:
        """Milliseconds a call."""
        call = kinds[kind]
        synchronize(device)
        begun = time.perf_counter()
        for _ in range(arguments.steps):
            call()
        synchronize(device)
        return 1e3 * (time.perf_counter() - begun) / arguments.steps

    rounds: list[dict[str, float]] = []
    for number in range(arguments.rounds):
        order = ("without", "with", "alone") if number % 2 == 0 else ("alone", "with", "without")
        rounds.append({kind: turn(kind) for kind in order})

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    how = "one CUDA graph a step" if arguments.graph else "kernel by kernel"
    print(f"{name}, torch {torch.__version__}, {arguments.backbone}, {height}x{image_width}, batch {batch}")
    print(f"SDM over 2 x ({batch}, {arguments.width}), amp {arguments.amp}, {how}")
    print(f"{arguments.rounds} rounds of {arguments.steps} steps of each kind")
    for kind in kinds:
        print(f"{kind:8} {median(r[kind] for r in rounds):9.3f} ms a step (median)")
    ratios = sorted(r["with"] / r["without"] for r in rounds)
    shares = sorted(r["alone"] / r["without"] for r in rounds)
    print(f"ratio    {median(ratios):9.4f} (median of pairs; least {ratios[0]:.4f}, most {ratios[-1]:.4f})")
    print(f"share    {median(shares):9.2%} of a step, SDM alone (least {shares[0]:.2%}, most {shares[-1]:.2%})")


def captured(call: Callable[[], None]) -> Callable[[], None]:
    """The call as one graph, warmed up on the stream of the capture: gradients remember where they were made."""
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    with torch.cuda.graph(graph, stream=stream):
        call()
    return graph.replay


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
