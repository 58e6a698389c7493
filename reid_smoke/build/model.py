"""The built-in ReID model: a backbone, a BNNeck, and a classifier on a feature of fixed norm.

The neck is that of reid-strong-baseline (Luo et al., "Bag of Tricks and A Strong Baseline for Deep Person
Re-identification", CVPRW 2019): batch norm between the pooled feature and a classifier without bias.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reid_smoke.build.backbones import build_backbone
from reid_smoke.config.schema import ModelConfig


class BNNeckOutput(NamedTuple):
    """What training needs of one batch."""

    logits: Tensor  # (B, C)
    feature: Tensor  # (B, D), pooled, before the neck
    bn_feature: Tensor  # (B, D), as the classifier sees it


def make_bn(width: int) -> nn.BatchNorm1d:
    """A BNNeck's batch norm, its bias frozen at 0."""
    bn = nn.BatchNorm1d(width)
    # Centred features make the classes' hyperplanes pass through the origin, as cosine retrieval needs them to.
    bn.bias.requires_grad_(False)
    return bn


def to_norm(bn_feature: Tensor, feat_norm: float | None) -> Tensor:
    """Features (B, D), each scaled to an L2 norm of `feat_norm`; None leaves them as they come."""
    if feat_norm is None:
        return bn_feature
    # normalize divides by max(norm, 1e-12), and fp16 knows no 1e-12. Without AMP this changes nothing.
    bn_feature = bn_feature.to(torch.promote_types(bn_feature.dtype, torch.float32))
    return feat_norm * F.normalize(bn_feature, dim=1)  # (B, D)


class BNNeck(nn.Module):
    """Batch norm, scaling to a fixed norm, classifier.

    `feat_norm`: L2 norm that each feature is scaled to before the classifier; None leaves it as it comes. Without it
    the logits grow with the feature's width, and a head lr of 1e-2 drives CE up instead of down.

    `num_classes`: None leaves the classifier to the loss, and what stands for the logits is the BN feature.
    """

    classifier: nn.Linear | nn.Identity

    def __init__(self, width: int, num_classes: int | None, feat_norm: float | None) -> None:
        super().__init__()
        self.feat_norm = feat_norm
        self.bn = make_bn(width)
        if num_classes is None:
            self.classifier = nn.Identity()
            return
        self.classifier = nn.Linear(width, num_classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)  # logits near 0: CE starts at log C

    def normalise(self, feature: Tensor) -> Tensor:
        """Pooled features (B, D) -> BN features (B, D), each of norm `feat_norm`."""
        return to_norm(self.bn(feature), self.feat_norm)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled features (B, D) -> logits (B, C), BN features (B, D)."""
        bn_feature = self.normalise(feature)
        return self.classifier(bn_feature), bn_feature


class BNNeckModel(nn.Module):
    """`backbone` -> pooled feature -> `bn_neck.bn` -> scaled feature -> `bn_neck.classifier`."""

    def __init__(self, backbone: nn.Module, width: int, num_classes: int | None, feat_norm: float | None = 8.0) -> None:
        super().__init__()
        self.backbone = backbone
        self.bn_neck = BNNeck(width, num_classes, feat_norm)

    def forward(self, images: Tensor) -> BNNeckOutput | Tensor:
        """Images (B, 3, H, W) -> BNNeckOutput in training mode, BN features (B, D) in eval mode."""
        feature: Tensor = self.backbone(images)  # (B, D)
        if not self.training:
            return self.bn_neck.normalise(feature)  # (B, D)
        logits, bn_feature = self.bn_neck(feature)
        return BNNeckOutput(logits, feature, bn_feature)


def build_model(config: ModelConfig, num_classes: int | None, *, height: int, width: int) -> BNNeckModel:
    """The model of this config with random weights, on the CPU, in training mode. `config.weights` is not read here.

    `num_classes`: None leaves the classifier to the loss. `height`, `width`: of the images, in pixels. Raises
    ModelError as `build_backbone` does.
    """
    backbone, feature_width = build_backbone(
        config.backbone, height=height, width=width, last_stride=config.last_stride
    )
    return BNNeckModel(backbone, feature_width, num_classes, config.feat_norm)
