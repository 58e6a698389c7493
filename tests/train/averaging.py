"""One of two ranks: how far the gradients that an Exchange makes are from those of DistributedDataParallel.

Over gloo, which knows no average: here it is a sum that is divided when it has arrived.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from reid_smoke.train import exchange


class Averaged:
    def __init__(self, flat: Tensor) -> None:
        self.flat, self.work = flat, dist.all_reduce(flat, async_op=True)

    def wait(self) -> None:
        self.work.wait()
        self.flat.div_(dist.get_world_size())


class WithAverage:
    ReduceOp = dist.ReduceOp

    @staticmethod
    def all_reduce(flat: Tensor, **how: Any) -> Averaged:
        assert how == {"op": dist.ReduceOp.AVG, "async_op": True}
        return Averaged(flat)


def main() -> None:
    dist.init_process_group("gloo")
    exchange.dist = WithAverage  # type: ignore[assignment, attr-defined]
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 30)
    model = DistributedDataParallel(nn.Sequential(*layers).to(memory_format=torch.channels_last))
    torch.manual_seed(1 + dist.get_rank())
    images, labels = torch.randn(4, 3, 16, 8), torch.randint(30, (4,))

    def backward(logits: Tensor) -> list[Tensor]:
        F.cross_entropy(logits, labels).backward()
        found = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        model.zero_grad(set_to_none=True)
        return found

    def by_exchange(logits_of: Any) -> list[Tensor]:
        with exchange.Exchange(model).averaging():
            F.cross_entropy(logits_of(), labels).backward()
        found = [p.grad for p in model.parameters() if p.grad is not None]
        assert all(g.stride() == p.stride() for g, p in zip(found, model.parameters(), strict=True))
        model.zero_grad(set_to_none=True)
        return found

    theirs, ours, again = backward(model(images)), by_exchange(lambda: model(images)), backward(model(images))
    alone = backward(model.module(images))
    found: dict[str, Any] = {}
    for name, others in (("exchanged", ours), ("ddp again", again), ("alone", alone)):
        found[name] = max(float((a - b).abs().max()) for a, b in zip(theirs, others, strict=True))
    try:
        by_exchange(lambda: model.module[-1](torch.randn(4, 8)))
    except RuntimeError as error:
        found["error"] = str(error)
    Path(f"found-{dist.get_rank()}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
