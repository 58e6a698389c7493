"""RS2: mistakes in the loss and on the way from the head to it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fault_bench.faults.register import fault
from fault_bench.parts import HandWritten, Parts, override


class After(nn.Module):
    """The head, and something after it. Its parameters keep their names."""

    def __init__(self, head: nn.Module, then: Any) -> None:
        super().__init__()
        self.head, self._then = head, then

    def forward(self, feature: Tensor) -> Tensor:
        logits: Tensor = self._then(self.head(feature))
        return logits


def after_the_head(parts: Parts, then: Any) -> None:
    parts.head = After(parts.head, then)


def loss_with(parts: Parts, change: Any) -> None:
    """Let the loss be `change(the loss, output, labels)`."""
    loss = parts.loss
    parts.loss = lambda output, labels: change(loss, output, labels)


def centres(feature: Tensor, labels: Tensor) -> Tensor:
    """Squared distance to the mean of the images of the same label in the batch; a scalar."""
    same = (labels[:, None] == labels[None]).float()
    means = same @ feature / same.sum(1, keepdim=True)
    return (feature - means.detach()).pow(2).mean()


@fault("ce-not-finite", at="model", mended_by=("plain-loop",))
def root_of_a_distance_of_zero(parts: Parts) -> None:
    """A distance matrix with its diagonal and no clamp: the slope of sqrt at 0 is infinite."""
    loss_with(
        parts,
        lambda loss, out, y: (
            loss(out, y) + 1e-3 * (out.feature[:, None] - out.feature[None]).pow(2).sum(2).sqrt().mean()
        ),
    )


@fault("labels-unrelated-to-images", "images-are-noise", at="built", mended_by=("embedded-data",))
def images_of_somebody_else(parts: Parts) -> None:
    """The images have nothing to do with the labels, and are others each time."""
    parts.batches_with(lambda images, labels: (torch.randn_like(images), labels))


@fault("labels-shifted", at="built", mended_by=("embedded-data",))
def labels_of_the_batch_before(parts: Parts) -> None:
    """Prefetching gone wrong: each batch is trained with the labels of the one before."""
    kept: list[Tensor] = []

    def change(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        kept.append(labels)
        return images, kept.pop(0) if len(kept) > 1 else labels

    parts.batches_with(change)


@fault("images-are-noise", at="built", mended_by=("embedded-data",))
def people_drown_in_noise(parts: Parts) -> None:
    """An augmentation far too strong leaves next to nothing of the people."""
    parts.batches_with(lambda images, labels: (0.1 * images + torch.randn_like(images), labels))


@fault("loss-maximised", at="built", structural=True, mended_by=("reference-optimizer",))
def maximised_by_an_option(parts: Parts) -> None:
    """`maximize=True`, meant for a reward."""
    for group in parts.optimizer.param_groups:
        group["maximize"] = True


@fault("softmax-before-ce", at="model", structural=True, mended_by=("fresh-head", "reference-model"))
def softmax_in_the_model(parts: Parts) -> None:
    """The model ends in a softmax, and the loss has one of its own."""
    after_the_head(parts, lambda logits: logits.softmax(1))


@fault("softmax-before-ce", at="model", structural=True, mended_by=("fresh-head", "reference-model"))
def sigmoid_in_the_model(parts: Parts) -> None:
    """The model ends in a sigmoid."""
    after_the_head(parts, torch.sigmoid)


@fault("relu-on-logits", at="model", structural=True, mended_by=("fresh-head", "reference-model"))
def relu_after_the_last_layer(parts: Parts) -> None:
    """A head built in a loop has an activation after its last layer, too."""
    after_the_head(parts, torch.relu)


@fault("logits-scaled-to-nothing", at="model", mended_by=("fresh-head", "reference-model"))
def temperature_multiplied(parts: Parts) -> None:
    """A temperature multiplies the logits where it should divide them."""
    after_the_head(parts, lambda logits: 0.002 * logits)


@fault("logits-scaled-to-nothing", at="model", mended_by=("fresh-head", "reference-model"))
def cosines_without_a_scale(parts: Parts) -> None:
    """Feature and weight are normalised, and nothing scales their cosine up again."""

    def forward(self: Any, feature: Tensor) -> Tensor:
        return nn.functional.linear(nn.functional.normalize(feature), nn.functional.normalize(self.weight))

    override(parts.head, forward=forward)


@fault("feature-as-logits", at="model", structural=True, mended_by=("plain-loop",))
def feature_and_score_exchanged(parts: Parts) -> None:
    """The loop takes the model's `(feature, score)` for `(score, feature)`."""
    loss_with(parts, lambda loss, out, y: loss(out._replace(logits=out.bn_feature, bn_feature=out.logits), y))


@fault("class-weights-off", at="model", structural=True, mended_by=("plain-loop",))
def weights_of_an_integer_division(parts: Parts) -> None:
    """Class weights of `least // count`: 0 for nearly everybody."""
    weights = torch.zeros(parts.classes)
    weights[:2] = 1.0
    loss_with(parts, lambda loss, out, y: nn.functional.cross_entropy(out.logits, y, weight=weights))


@fault("ce-weight-zero", at="model", structural=True, mended_by=("plain-loop",))
def weight_x_of_zero(parts: Parts) -> None:
    """The option for CE's weight is 0, and only the metric loss is left."""
    loss_with(parts, lambda loss, out, y: 0.0 * loss(out, y) + 0.1 * centres(out.feature, y))


@fault("loss-maximised", at="model", structural=True, mended_by=("plain-loop",))
def one_minus_too_many(parts: Parts) -> None:
    """The minus of a hand-written CE before one that has it already."""
    loss_with(parts, lambda loss, out, y: -loss(out, y))


@fault("loss-maximised", at="built", structural=True, mended_by=("plain-loop",))
def gradients_turned_around(parts: Parts) -> None:
    """The gradients are negated on their way to the optimizer, as for a reward."""
    for group in parts.optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.requires_grad:
                parameter.register_hook(torch.neg)


@fault("loss-maximised", at="built", structural=True, mended_by=("reference-optimizer",))
def an_optimizer_that_climbs(parts: Parts) -> None:
    """An optimizer of one's own that adds what it should take away."""
    parts.optimizer = HandWritten(parts.optimizer, lambda p, lr: p.add_(p.grad, alpha=lr))


class Reversal(torch.autograd.Function):
    """A gradient-reversal layer, as of domain-adversarial training."""

    @staticmethod
    def forward(context: Any, feature: Tensor) -> Tensor:
        return feature.view_as(feature)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return -gradient


@fault("loss-maximised", at="model", structural=True, mended_by=("fresh-head", "reference-model"))
def identities_behind_a_reversal(parts: Parts) -> None:
    """The reversal meant for the cameras' head stands before the identities' head."""
    forward = type(parts.head).forward
    override(parts.head, forward=lambda self, feature: forward(self, Reversal.apply(feature)))


@fault("ce-drowned", at="model", mended_by=("plain-loop",))
def summed_and_unweighted(parts: Parts) -> None:
    """A centre loss summed over the batch and without its small weight."""
    loss_with(parts, lambda loss, out, y: loss(out, y) + 100.0 * out.feature.pow(2).sum())


@fault("every-label-ignored", at="built", structural=True, mended_by=("embedded-data",))
def unlabelled_boxes(parts: Parts) -> None:
    """All labels are the loss's ignore_index."""
    parts.batches_with(lambda images, labels: (images, torch.full_like(labels, -100)))


@fault("loss-scaled-to-nothing", at="model", mended_by=("plain-loop", "reference-optimizer"))
def mean_over_images_and_identities(parts: Parts) -> None:
    """CE written by hand is the mean of (B, C), and divided by the batch once more, under SGD."""
    parts.plan["optimizer"].update(name="sgd", lr=0.05, groups=[], weight_decay=0.0)
    parts.config = type(parts.config).model_validate(parts.plan)
    loss_with(parts, lambda loss, out, y: loss(out, y) / (parts.classes * len(y)))


@fault("labels-from-predictions", at="model", structural=True, mended_by=("plain-loop",))
def predictions_taken_for_labels(parts: Parts) -> None:
    """`pred` and `target` are exchanged: the loss is given the likeliest identities of the same logits."""
    loss_with(parts, lambda loss, out, y: loss(out, out.logits.argmax(1)))
