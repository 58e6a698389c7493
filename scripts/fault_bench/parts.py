"""A training put together from the project's own parts, one after the other, so that a fault can be put in between.

`reid_smoke.build.training` does the same in one go. Here each part lies open until the training begins: a fault is a
function that changes what lies open, at the stage at which a user would have made the mistake.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reid_smoke.build.data.loader import ReIDLoader, build_loader
from reid_smoke.build.data.training_set import TrainingSet, open_training_set, scan
from reid_smoke.build.losses import TrainingLoss
from reid_smoke.build.model import BNNeckModel, BNNeckOutput, build_model
from reid_smoke.build.optimizer import build_optimizer, freeze
from reid_smoke.build.schedule import build_scheduler
from reid_smoke.build.training import Training
from reid_smoke.build.weights import load_weights
from reid_smoke.config.schema import Config, DataConfig
from reid_smoke.facts import AnyFact, DatasetFacts, FreezeFacts, UnreadableFacts, WeightsFacts
from reid_smoke.train.loop import train

Stage = Literal["plan", "data", "model", "built"]
STAGES: tuple[Stage, ...] = ("plan", "data", "model", "built")

Change = Callable[["Parts"], None]


def override(module: nn.Module, **methods: Callable[..., Any]) -> None:
    """Give this one module a class of its own with these methods, as a user's source would: a copy of it has them,
    too."""
    module.__class__ = type(type(module).__name__, (type(module),), methods)


class HandWritten(torch.optim.Optimizer):
    """An optimizer of one's own, which does `change(parameter, lr)` to each parameter that has a gradient."""

    def __init__(self, like: torch.optim.Optimizer, change: Callable[[Any, float], Any]) -> None:
        super().__init__([{"params": group["params"], "lr": group["lr"]} for group in like.param_groups], {})
        self._change = change

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._change(parameter, group["lr"])


@dataclass
class Parts:
    """What lies open. Each stage fills in what comes after it."""

    plan: dict[str, Any]  # the config, as its YAML would have it
    seed: int
    folder: Path  # for files that a fault needs
    shape_model: Change  # what the set-up itself makes of model and loss
    config: Config = field(init=False)
    training_set: TrainingSet = field(init=False)
    model: BNNeckModel = field(init=False)
    loss: Callable[[BNNeckOutput, Tensor], Tensor] = field(init=False)
    loader: Iterable[Any] = field(init=False)
    optimizer: torch.optim.Optimizer = field(init=False)
    scheduler: Any = None
    scaler: torch.amp.GradScaler | None = None
    facts: list[AnyFact] = field(default_factory=list)
    unreadable: list[UnreadableFacts] = field(default_factory=list)
    train: Callable[..., int] = train

    # --- short ways to what faults change ---

    @property
    def neck(self) -> nn.BatchNorm1d:
        return self.model.bn_neck.bn

    @property
    def head(self) -> nn.Module:
        return self.model.bn_neck.classifier

    @head.setter
    def head(self, module: nn.Module) -> None:
        self.model.bn_neck.classifier = module  # type: ignore[assignment]

    @property
    def classes(self) -> int:
        return int(self.plan["data"]["identities"])

    def head_parameters(self) -> list[nn.Parameter]:
        return list(self.head.parameters())

    def other_parameters(self) -> list[nn.Parameter]:
        heads = {id(p) for p in self.head.parameters()}
        return [p for p in self.model.parameters() if id(p) not in heads and p.requires_grad]

    def step_with(self, around: Callable[[Callable[[], Any]], Any]) -> None:
        """Let every `optimizer.step()` be `around(the real step)`."""
        step = self.optimizer.step

        def stepped(*args: Any, **kwargs: Any) -> Any:
            return around(lambda: step(*args, **kwargs))

        self.optimizer.step = stepped  # type: ignore[method-assign]

    def begin_with(self, restore: Callable[[], Any]) -> None:
        """Let the training begin with what it restores of an earlier run."""
        train = self.train

        def resumed(*args: Any, **kwargs: Any) -> int:
            restore()
            return train(*args, **kwargs)

        self.train = resumed

    def batches_with(self, change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> None:
        """Let every batch be `change(images, labels)`."""
        fetch = self.loader.dataset.__class__  # type: ignore[attr-defined]

        class Changed(fetch):  # type: ignore[misc, valid-type]
            def __getitem__(self, plan: Any) -> Any:
                batch = super().__getitem__(plan)
                images, labels = change(batch.images, batch.labels)
                changed = type(batch)(images, labels, batch.cameras)
                changed.unreadable = batch.unreadable
                return changed

        self.loader.dataset.__class__ = Changed  # type: ignore[attr-defined]

    def scale_with(self, scale: float) -> None:
        """Use a GradScaler that begins at `scale`, and an optimizer that leaves a skipped step out altogether."""
        self.config = type(self.config).model_validate(self.plan)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        self.optimizer = build_optimizer(self.config.optimizer, self.model, fused=False)

    def sample_with(self, sampler: Any) -> None:
        """Draw batches by another sampler, over the same data set."""
        loader: Any = self.loader
        self.loader = ReIDLoader(
            loader.dataset,
            sampler,
            workers=0,
            seed=self.seed,
            on_unreadable=self.unreadable.append,
            on_first=None,
        )


def assemble(parts: Parts, changes: dict[Stage, list[Change]]) -> Training:
    """Fill in stage after stage, and let the changes at each have their way."""

    def inject(stage: Stage) -> None:
        for change in changes.get(stage, ()):
            change(parts)

    inject("plan")
    parts.config = Config.model_validate(parts.plan)
    parts.training_set = _open(parts.config.data.model_dump_json())
    inject("data")
    config = parts.config
    classes = config.model.num_classes or parts.training_set.identities
    parts.facts.append(scan(parts.training_set, classes))
    parts.loader = build_loader(
        parts.training_set, config.data, seed=config.seed, on_unreadable=parts.unreadable.append
    )
    torch.manual_seed(parts.seed)
    parts.model = build_model(config.model, classes, height=config.data.height, width=config.data.width)
    if config.model.weights is not None:
        parts.facts.append(load_weights(parts.model, config.model.weights))
    parts.loss = TrainingLoss(config.loss.label_smoothing, config.loss.sdm_weight, config.data.instances)
    parts.shape_model(parts)
    inject("model")
    config = parts.config
    parts.facts.extend(freeze(parts.model, config.model.freeze))
    parts.scaler = torch.amp.GradScaler("cpu") if config.train.amp == "fp16" else None
    parts.optimizer = build_optimizer(config.optimizer, parts.model, fused=parts.scaler is None)
    epoch = len(parts.loader)  # type: ignore[arg-type]
    steps = max(1, epoch // config.train.accumulate)
    parts.scheduler = build_scheduler(config.schedule, parts.optimizer, steps)
    inject("built")
    beforehand = tuple(f for f in parts.facts if isinstance(f, DatasetFacts | WeightsFacts | FreezeFacts))
    return Training(
        config=parts.config,
        model=parts.model,
        loader=parts.loader,  # type: ignore[arg-type]
        loss=parts.loss,  # type: ignore[arg-type]
        optimizer=parts.optimizer,
        scheduler=parts.scheduler,
        scaler=parts.scaler,
        device=torch.device("cpu"),
        memory_format=torch.contiguous_format,
        num_classes=classes,
        steps_per_epoch=epoch,
        facts=beforehand,
    )


def open_parts(plan: dict[str, Any], shape_model: Change, seed: int, folder: Path) -> Parts:
    return Parts(plan={**copy.deepcopy(plan), "seed": seed}, seed=seed, folder=folder, shape_model=shape_model)


@lru_cache(maxsize=8)
def _open(config: str) -> TrainingSet:
    """Rendered or scanned once for all runs of a process; a set is never changed, only replaced."""
    return open_training_set(DataConfig.model_validate_json(config))


def learn(parts: Parts, steps: int) -> None:
    """An earlier run, which nobody watches."""
    done = 0
    while True:
        for images, labels, _ in parts.loader:
            parts.optimizer.zero_grad()
            parts.loss(parts.model(images), labels).backward()  # type: ignore[no-untyped-call, arg-type]
            parts.optimizer.step()
            done += 1
            if done == steps:
                parts.optimizer.zero_grad()
                return
