"""The plain logits behind a margin: what ArcFace and CosFace take from the right identity's logit is given back."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import torch
from torch import Tensor

from reid_smoke.probes.batch import Batch
from reid_smoke.probes.classifier import Product

LEAST = 0.1  # of the logits' spread: a smaller margin costs next to nothing
LIKE = 0.05  # of the logits' spread, to which the others must agree; half precision is as coarse


def plain_logits(product: Product, scale: float, classes: int, lengths: Tensor | None = None) -> Tensor | None:
    """scale * lengths * feature @ weight, (B, C) float32; None where one of these is not kept or they do not fit."""
    feature, weight = product.feature, product.weight_value
    if feature is None or weight is None or feature.dim() != 2 or weight.dim() != 2:
        return None
    feature, weight = feature.detach().float(), weight.detach().float()
    columns = classes if product.nearest is None else prod(product.nearest[0])
    if weight.shape == (columns, feature.shape[1]):
        weight = weight.T
    if weight.shape != (feature.shape[1], columns):
        return None
    plain = feature @ weight
    if product.nearest is not None:
        row, dim = product.nearest
        plain = plain.reshape(-1, *row).amax(dim + 1)  # (B, C)
    if lengths is not None:
        sizes = zip(lengths.shape[::-1], plain.shape[::-1], strict=False)
        if lengths.dim() > 2 or any(size not in (1, whole) for size, whole in sizes):
            return None
        plain = lengths * plain
    return scale * plain


def margin_of(batch: Batch, product: Product, scale: float, lengths: Tensor | None = None) -> float:
    """What the loss takes from the right identity's logit, in the mean, where its logits are the plain ones but for
    that; below 0 where it is raised instead. 0 where there is no such thing. Waits for the device."""
    plain = plain_logits(product, scale, batch.log_probs.shape[1], lengths)
    if plain is None or plain.shape != batch.log_probs.shape or batch.log_probs.shape[1] < 4:
        return 0.0
    log_probs = batch.log_probs.float()
    apart = log_probs - plain  # (B, C), a constant a row, but for the margin
    apart = apart - apart.median(1, keepdim=True).values
    right = torch.zeros_like(apart, dtype=torch.bool).scatter_(1, batch.labels[:, None], True)
    right &= batch.of_one_label[:, None]
    spread = log_probs.masked_fill(right, 0).std().item()
    elsewhere = apart.masked_fill(right, 0).abs().amax().item()
    margin = -apart[right].mean().item() if right.any() else 0.0
    size = abs(margin)
    found = size > LEAST * spread and size > 4 * elsewhere and elsewhere < LIKE * max(spread, size)
    return margin if found else 0.0


def without_margin(batch: Batch, product: Product, scale: float, lengths: Tensor | None = None) -> Batch:
    """The batch as it would be without the margin."""
    plain = plain_logits(product, scale, batch.log_probs.shape[1], lengths)
    if plain is None:
        return batch
    return replace(batch, log_probs=plain.log_softmax(1))
