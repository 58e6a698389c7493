"""A plain ReID training in miniature, written as users write theirs; examples change one part of it.

Nothing here knows of reid-smoke but `run_tiny`, which watches it through the same hooks as every other training.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from reid_smoke.facts import AnyFact, RunFacts
from reid_smoke.ledger import Ledger
from reid_smoke.probes.crash import read_watched_crash
from reid_smoke.probes.observer import Observer
from reid_smoke.verdict import Judgement, judge
from reid_smoke.watch.hooks import observing


class Crops(Dataset[tuple[Tensor, int]]):
    """`identities` people, each a pattern of 3 x 8 x 8 that their images show under noise."""

    def __init__(self, identities: int = 24, images: int = 8, noise: float = 1.5) -> None:
        generator = torch.Generator().manual_seed(7)
        people = torch.randn(identities, 3, 8, 8, generator=generator)  # (identities, 3, 8, 8)
        self.labels = torch.arange(identities).repeat_interleave(images)  # (N,)
        self.images = people[self.labels] + noise * torch.randn(len(self.labels), 3, 8, 8, generator=generator)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], int(self.labels[index])


class Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)

    def forward(self, images: Tensor) -> Tensor:  # (B, 3, 8, 8) -> (B, 512)
        hidden = F.relu(self.bn1(self.conv1(images)))
        return F.relu(self.bn2(self.conv2(hidden))).flatten(1)


class Model(nn.Module):
    """A BNNeck as strong-baseline writes it: `(score, global_feat)` in training."""

    def __init__(self, identities: int, width: int = 512) -> None:
        super().__init__()
        self.base = Backbone()
        self.bottleneck = nn.BatchNorm1d(width)
        self.bottleneck.bias.requires_grad_(False)
        self.classifier = nn.Linear(width, identities, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def neck(self, global_feat: Tensor) -> Tensor:  # (B, D) -> (B, D)
        return 8.0 * F.normalize(self.bottleneck(global_feat))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        global_feat = self.base(images)
        return self.classifier(self.neck(global_feat)), global_feat


class TinyTraining:
    """Build, then loop. A subclass overrides the part in which its fault lies."""

    identities = 24
    batch_size = 16
    steps = 45
    window = (30, 45)
    seed = 0
    lr_head = 1e-2
    lr_backbone = 1e-4
    feat_norm: float | None = None  # what a plan says of it

    def __init__(self) -> None:
        torch.manual_seed(self.seed)
        self.step_number = 0
        self.loader = self.make_loader()
        self.model = self.make_model()
        self.optimizer = self.make_optimizer()
        self.scheduler = self.make_scheduler()
        self.after_building()

    # --- parts ---

    def make_dataset(self) -> Dataset[tuple[Tensor, int]]:
        return Crops(self.identities)

    def make_loader(self) -> Iterable[tuple[Tensor, Tensor]]:
        return DataLoader(self.make_dataset(), self.batch_size, shuffle=True, drop_last=True)

    def make_model(self) -> nn.Module:
        return Model(self.identities)

    def head_parameters(self) -> list[nn.Parameter]:
        return [p for n, p in self.model.named_parameters() if "classifier" in n]

    def other_parameters(self) -> list[nn.Parameter]:
        return [p for n, p in self.model.named_parameters() if "classifier" not in n]

    def make_optimizer(self) -> torch.optim.Optimizer:
        groups = [
            {"params": self.head_parameters(), "lr": self.lr_head},
            {"params": self.other_parameters(), "lr": self.lr_backbone},
        ]
        return torch.optim.AdamW(groups, weight_decay=1e-4)

    def make_scheduler(self) -> torch.optim.lr_scheduler.LRScheduler | None:
        return None

    def after_building(self) -> None:
        """What a user does between building and training."""

    # --- the loop ---

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from self.loader
            self.after_epoch()

    def after_epoch(self) -> None:
        pass

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, _ = self.model(images)
        return F.cross_entropy(score, labels)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()
        self.loss(images, labels).backward()
        self.clip()
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()

    def clip(self) -> None:
        pass

    def train(self) -> None:
        self.model.train()
        for images, labels in self.batches():
            self.step_number += 1
            self.train_step(images, labels)
            if self.step_number == self.steps:
                return

    # --- what a plan or a scan would tell besides ---

    def known_beforehand(self) -> list[AnyFact]:
        return []


def run_tiny(training: TinyTraining) -> tuple[Ledger, Judgement]:
    """Watch the training from its first step to its end, and judge it."""
    ledger = Ledger()
    ledger.add(RunFacts(way_in="watch", name="tiny", window=training.window, feat_norm=training.feat_norm))
    for fact in training.known_beforehand():
        ledger.add(fact)
    observer = Observer(ledger)
    how = "finished"
    with observing(observer):
        try:
            training.train()
        except Exception as error:  # a crash is part of some faults
            observer.settle()
            for fact in read_watched_crash(error, observer):
                ledger.add(fact)
            how = "crashed"
        observer.finish(how)
    return ledger, judge(ledger, ended=True)
