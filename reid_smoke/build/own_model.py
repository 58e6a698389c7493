"""A model of the user's own: imported by name, called as it wants to be, its outputs picked as they were understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from reid_smoke.build.image_text import ImageTextOutput
from reid_smoke.build.model import BNNeckOutput
from reid_smoke.build.outputs import losses_in, select
from reid_smoke.build.targets import CLASS_ARGUMENTS, make_module
from reid_smoke.config.schema import ModelConfig


class Forward(Protocol):
    """Calls a model with a batch as it wants to be called. tokens: (B, L), of sets with captions."""

    def __call__(
        self, images: Tensor, labels: Tensor, cameras: Tensor, tokens: Tensor | None = None
    ) -> BNNeckOutput | ImageTextOutput | Tensor: ...

    def over(self, model: nn.Module) -> Forward:
        """The same call of another module: of what keeps the model the same on all ranks, say."""
        ...


@dataclass(frozen=True)
class Understood:
    """How a model was understood: selectors in the config's words, names in the model's."""

    logits: str | None  # selector; None: the model computes its losses itself
    feature: str | None  # selector of what the classifier is fed, where the model gives it out
    head: str | None  # name of the classifier's weight
    fed_by: str | None  # module whose output the classifier is fed
    neck: str | None  # that module, where it is a norm
    fed_norm: float | None = None  # mean L2 norm of what the classifier was fed
    head_in_loss: bool = False  # the model gives features, and the loss's module holds the classifier
    feature_width: int = 0  # D of those
    guessed: tuple[str, ...] = ()  # which of the model's keys were found, not given


def make_model(config: ModelConfig, num_classes: int) -> nn.Module:
    """What `config.target` names, called with `config.kwargs`; a class argument by a usual name is filled in.

    Raises ModelError as `make_module` does.
    """
    assert config.target is not None
    filled = dict.fromkeys(CLASS_ARGUMENTS, num_classes)
    return make_module("model", config.target, config.cwd, config.kwargs, filled)


class OwnForward:
    """Calls the model with a batch, and picks logits and feature out of what it gives.

    In training: a BNNeckOutput, or a scalar where the model gives a dict of losses, which are summed.
    """

    def __init__(self, model: nn.Module, config: ModelConfig, understood: Understood | None = None) -> None:
        self._model = model
        self._config, self._understood = config, understood
        self._call = config.call
        self._logits = understood.logits if understood else None
        self._feature = understood.feature if understood else None

    def raw(self, images: Tensor, labels: Tensor, cameras: Tensor, tokens: Tensor | None = None) -> Any:
        """Whatever the model returns."""
        if self._call == "images":
            return self._model(images)
        if self._call == "images, labels":
            return self._model(images, labels)
        if self._call == "images, labels, cam, view":
            return self._model(images, labels, cam_label=cameras, view_label=torch.zeros_like(cameras))
        batch = {"images": images, "pids": labels, "targets": labels, "labels": labels, "camids": cameras}
        return self._model(batch if tokens is None else {**batch, "caption_ids": tokens})

    def over(self, model: nn.Module) -> OwnForward:
        """The same call of another module."""
        return OwnForward(model, self._config, self._understood)

    def __call__(
        self, images: Tensor, labels: Tensor, cameras: Tensor, tokens: Tensor | None = None
    ) -> BNNeckOutput | Tensor:
        output = self.raw(images, labels, cameras, tokens)
        if self._understood is not None and self._understood.head_in_loss:
            features: Tensor = select(output, self._feature or "")
            return BNNeckOutput(features, features, features)
        if self._logits is None:
            return torch.stack([loss for _, loss in losses_in(output)]).sum()
        logits: Tensor = select(output, self._logits)
        feature: Tensor = select(output, self._feature) if self._feature is not None else logits
        return BNNeckOutput(logits, feature, feature)
