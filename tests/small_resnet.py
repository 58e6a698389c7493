"""A small backbone that torchvision knows by name where this is imported: `model.backbone=small_resnet`.

torchvision's own small ones learn nothing in 30 steps, and its smallest that does, ResNet-18, has 11 million weights to
step. This one has three in a hundred of them, and is built, cut and trained by the same lines.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision.models._api import register_model
from torchvision.models.resnet import BasicBlock, ResNet

NAME = "small_resnet"
WIDTH = 128  # of its feature
NARROWER = 4


class SmallResNet(ResNet):
    def _make_layer(self, block: Any, planes: int, *arguments: Any, **named: Any) -> nn.Sequential:
        return super()._make_layer(block, planes // NARROWER, *arguments, **named)


def small_resnet(**named: Any) -> SmallResNet:
    """A block a stage, of 16, 32, 64 and 128 channels."""
    del named  # weights=None, as all have it
    return SmallResNet(BasicBlock, [1, 1, 1, 1])


small_resnet.__module__ = "torchvision.models.resnet"  # or it is not among the models for images
register_model(NAME)(small_resnet)
