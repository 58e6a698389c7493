"""The model and the loss of a config, ours or the user's own, and which weight of theirs is the head."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from reid_smoke.build.image_text import PairForward, build_image_text_model
from reid_smoke.build.losses import TrainingLoss
from reid_smoke.build.model import build_model
from reid_smoke.build.optimizer import with_head
from reid_smoke.build.own_loss import OwnLoss, head_of, make_own_loss
from reid_smoke.build.own_model import Forward, Understood, make_model
from reid_smoke.build.understanding import understand
from reid_smoke.config.schema import Config, OptimizerConfig

BUILT_IN_HEAD = "bn_neck.classifier.weight"


@dataclass(frozen=True, eq=False)
class Parts:
    """A model in training mode and its loss, both on the CPU."""

    model: nn.Module
    loss: TrainingLoss
    forward: Forward | None  # as in Training
    head: str | None  # name of the classifier's weight, where it is known
    understood: Understood | None  # how a model of the user's was understood

    def recipe(self, optimizer: OptimizerConfig) -> OptimizerConfig:
        """The optimizer's config with the recipe's head group for this head."""
        if self.head == BUILT_IN_HEAD and self.understood is None:
            return optimizer
        if isinstance(self.loss, OwnLoss) and self.loss.holds_head:
            return with_head(optimizer, f"{type(self.loss.criterion).__name__}.")
        return with_head(optimizer, self.head)


def build_parts(config: Config, num_classes: int, vocabulary: int = 0) -> Parts:
    """Model and loss with random weights; `config.model.weights` is not read here.

    vocabulary: numbers that a caption's words may be; 0 of a set without captions. Raises ModelError and UsageError.
    """
    size = {"height": config.data.height, "width": config.data.width}
    in_loss = config.loss.holds_head
    model: nn.Module
    forward: Forward | None = None
    understood: Understood | None = None
    head: str | None = BUILT_IN_HEAD
    instances: int | None = config.data.instances
    feature_width = 0
    if config.model.text is not None:
        model = build_image_text_model(config.model, config.model.text, num_classes, vocabulary, **size)
        forward, instances = PairForward(model), None
    elif config.model.target is None:
        model = build_model(config.model, None if in_loss else num_classes, **size)
        feature_width = model.bn_neck.bn.num_features
    else:
        model = make_model(config.model, num_classes)
        forward, understood = understand(
            model, config.model, num_classes, **size, vocabulary=vocabulary, head_in_loss=in_loss
        )
        head, feature_width = understood.head, understood.feature_width
    if config.loss.target is None:
        loss = TrainingLoss(config.loss.label_smoothing, config.loss.sdm_weight, instances)
    else:
        loss = make_own_loss(config.loss, num_classes, feature_width, instances)
        if in_loss:
            head = head_of(loss.criterion, num_classes)
    return Parts(model, loss, forward, head, understood)
