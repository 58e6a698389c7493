"""Everything that a training needs, built from a config, and the facts that came up while building it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from reid_smoke.build.data.training_set import TrainingSet, scan
from reid_smoke.build.losses import TrainingLoss
from reid_smoke.build.optimizer import build_optimizer, freeze
from reid_smoke.build.own_loss import OwnLoss
from reid_smoke.build.own_model import Forward, Understood
from reid_smoke.build.parts import BUILT_IN_HEAD, build_parts
from reid_smoke.build.schedule import build_scheduler
from reid_smoke.build.weights import load_weights
from reid_smoke.config.schema import CAPTIONED, Config
from reid_smoke.errors import UsageError
from reid_smoke.facts import DatasetFacts, FreezeFacts, WeightsFacts


@dataclass(frozen=True, eq=False)
class Training:
    """What `train` works with. The model is on `device`, in training mode."""

    config: Config
    model: nn.Module  # ours or the user's own, or what keeps it the same on all ranks around it
    loader: DataLoader[Any]  # of (images (B, 3, H, W) float32, labels (B,) int64, cameras (B,) int64)
    loss: TrainingLoss
    optimizer: torch.optim.Optimizer
    scheduler: LRScheduler | None  # None: constant
    scaler: torch.amp.GradScaler | None  # None: no fp16
    device: torch.device
    memory_format: torch.memory_format  # of model and images
    num_classes: int
    steps_per_epoch: int  # batches, as the loader promises them
    facts: tuple[DatasetFacts | WeightsFacts | FreezeFacts, ...]  # in the order in which they were found
    # (images, labels, cameras, tokens where there are captions) -> output, of a model of the user's and of the built-in
    # image-text model; None: model(images)
    forward: Forward | None = None
    head: str | None = BUILT_IN_HEAD  # name of the classifier's weight, where it is known
    understood: Understood | None = None  # how a model of the user's was understood


def resolve_device(name: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """The device of a config's `device`; `auto` is CUDA where there is one.

    Raises UsageError where CUDA is asked for and there is none.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    why = "is built without CUDA" if torch.version.cuda is None else "finds no CUDA device that it can use"
    raise UsageError(
        f"device: cuda was asked for, and this torch ({torch.__version__}) {why}. Say device: cpu, or auto"
    )


def build_training(
    config: Config, training_set: TrainingSet, loader: DataLoader[Any], device: torch.device
) -> Training:
    """Model, loss, optimizer and schedule of this config, over a training set and its loader that stand already.

    The same config gives the same weights, whatever was drawn from torch's random generator before. The whole set's
    labels are scanned here, before the first step. Raises ModelError and UsageError, which end in exit code 2.
    """
    if config.data.batch_size < 2:
        raise UsageError("data.batch_size is 1, and of one image batch norm can make nothing: give 2 or more")
    num_classes = config.model.num_classes or training_set.identities
    instances = config.data.instances if config.data.sampler == "pk" else None
    facts: list[DatasetFacts | WeightsFacts | FreezeFacts] = [scan(training_set, num_classes, instances)]

    torch.manual_seed(config.seed)
    if config.model.text is not None and training_set.vocabulary is None:
        raise UsageError(
            f"model.text is a text tower, and {training_set.source} has no captions: "
            f"set data.source to one of {', '.join(CAPTIONED)}, or leave model.text out"
        )
    parts = build_parts(config, num_classes, len(training_set.vocabulary or ()))
    model, loss = parts.model, parts.loss
    if config.model.weights is not None:
        facts.append(load_weights(model, config.model.weights))
    # Half-precision convolutions run in this layout on CUDA, and would be turned around each time. A CPU gains nothing.
    on_gpu = device.type == "cuda"
    memory_format = torch.channels_last if on_gpu else torch.contiguous_format
    model.to(device=device, memory_format=memory_format)  # type: ignore[call-overload]  # torch's stub misses the pair
    criterion = loss.criterion.to(device) if isinstance(loss, OwnLoss) else None
    facts.extend(freeze(model, config.model.freeze))

    scaler = torch.amp.GradScaler(device.type) if config.train.amp == "fp16" else None
    planned = parts.recipe(config.optimizer)
    optimizer = build_optimizer(planned, model, criterion, fused=scaler is None, capturable=on_gpu)
    steps_per_epoch = len(loader)
    optimizer_steps = max(1, steps_per_epoch // config.train.accumulate)
    return Training(
        config=config,
        model=model,
        loader=loader,
        loss=loss,
        optimizer=optimizer,
        scheduler=build_scheduler(config.schedule, optimizer, optimizer_steps),
        scaler=scaler,
        device=device,
        memory_format=memory_format,
        num_classes=num_classes,
        steps_per_epoch=steps_per_epoch,
        facts=tuple(facts),
        forward=parts.forward,
        head=parts.head,
        understood=parts.understood,
    )
