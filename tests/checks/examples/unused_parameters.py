from __future__ import annotations

import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tests.checks.tiny import Model, TinyTraining


class WithABranch(Model):
    def __init__(self, identities: int) -> None:
        super().__init__(identities)
        self.branch = nn.Linear(512, 8)


class Wrapped(TinyTraining):
    steps = 40
    window = (20, 40)
    find_unused = False

    def make_model(self) -> nn.Module:
        model = WithABranch(self.identities)
        self.prepare(model)
        return DistributedDataParallel(model, find_unused_parameters=self.find_unused)

    def prepare(self, model: WithABranch) -> None:
        pass

    def __init__(self) -> None:
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        try:
            super().__init__()
        except BaseException:
            dist.destroy_process_group()
            raise

    def train(self) -> None:
        try:
            super().train()
        finally:
            dist.destroy_process_group()

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(images, labels)


class Frozen(Wrapped):
    def prepare(self, model: WithABranch) -> None:
        model.branch.requires_grad_(False)


class Found(Wrapped):
    """The wrapper is told to look for them."""

    find_unused = True


SICK = [Wrapped]
HEALTHY = [Frozen, Found]
