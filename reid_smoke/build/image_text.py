"""The built-in image-text model: two towers, a BNNeck on each, and one classifier for both.

One classifier, as IRRA has it (Jiang & Ye, CVPR 2023): only where an image and a caption of an identity lie near each
other can the same weights know both. The names of the image's side are those of the model without text, so that a
checkpoint, a frozen layer and the recipe's head fit both.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from reid_smoke.build.backbones import build_backbone
from reid_smoke.build.model import BNNeck, BNNeckOutput, make_bn, to_norm
from reid_smoke.build.text_tower import TextTower
from reid_smoke.config.schema import ModelConfig, TextConfig


class ImageTextOutput(NamedTuple):
    """What training needs of one batch of pairs: row i of either side is the same identity."""

    image: BNNeckOutput
    text: BNNeckOutput


class ImageTextModel(nn.Module):
    """`backbone` -> `bn_neck.bn`, `text_tower` -> `text_bn`, and on either scaled feature `bn_neck.classifier`."""

    def __init__(
        self, backbone: nn.Module, width: int, num_classes: int, vocabulary: int, text: TextConfig,
        feat_norm: float | None = 8.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.backbone = backbone
        self.text_tower = TextTower(vocabulary, text.width, width)
        self.text_bn = make_bn(width)
        self.bn_neck = BNNeck(width, num_classes, feat_norm)

    def forward(self, images: Tensor, tokens: Tensor | None = None) -> ImageTextOutput | Tensor:
        """Images (B, 3, H, W) and tokens (B, L) -> ImageTextOutput in training mode.

        In eval mode the images' BN features (B, D), as the model without text gives them.
        """
        feature: Tensor = self.backbone(images)  # (B, D)
        if not self.training:
            return self.bn_neck.normalise(feature)
        assert tokens is not None, "training takes pairs"
        # The image's logits come first: it is the head computed first whose CE is judged.
        logits, bn_feature = self.bn_neck(feature)
        of_text: Tensor = self.text_tower(tokens)  # (B, D)
        text_bn_feature = self._normalise_text(of_text)
        return ImageTextOutput(
            image=BNNeckOutput(logits, feature, bn_feature),
            text=BNNeckOutput(self.bn_neck.classifier(text_bn_feature), of_text, text_bn_feature),
        )

    def caption_features(self, tokens: Tensor) -> Tensor:
        """Tokens (B, L) -> the captions' BN features (B, D), which lie among the images'."""
        return self._normalise_text(self.text_tower(tokens))

    def _normalise_text(self, feature: Tensor) -> Tensor:
        return to_norm(self.text_bn(feature), self.bn_neck.feat_norm)


class PairForward:
    """How the loop calls it: with a whole batch, of which it takes the images and the tokens."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    def over(self, model: nn.Module) -> PairForward:
        """The same call of another module."""
        return PairForward(model)

    def __call__(
        self, images: Tensor, labels: Tensor, cameras: Tensor, tokens: Tensor | None = None
    ) -> ImageTextOutput:
        output: ImageTextOutput = self._model(images, tokens)
        return output


def build_image_text_model(
    config: ModelConfig, text: TextConfig, num_classes: int, vocabulary: int, *, height: int, width: int
) -> ImageTextModel:
    """The model of this config with random weights, on the CPU, in training mode. `config.weights` is not read here.

    vocabulary: numbers that a token may be. height, width: of the images, in pixels. Raises ModelError as
    `build_backbone` does.
    """
    backbone, feature_width = build_backbone(
        config.backbone, height=height, width=width, last_stride=config.last_stride
    )
    return ImageTextModel(backbone, feature_width, num_classes, vocabulary, text, config.feat_norm)
