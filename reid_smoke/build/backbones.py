"""torchvision's classification models by name, timm's as `timm:NAME`: down to the feature that a ReID head works on.

torchvision is imported inside the functions: it costs a second, and a config that is wrong should be told so at once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from reid_smoke.build.timm_backbones import PREFIX, make_timm_backbone
from reid_smoke.errors import ModelError, nearest


def backbone_names() -> list[str]:
    """The names that `build_backbone` accepts without a prefix: torchvision's classification models, sorted."""
    from torchvision import models

    # `module` keeps out detection, segmentation, optical flow, video and quantized models.
    names: list[str] = models.list_models(module=models)
    return sorted(names)


def build_backbone(name: str, *, height: int, width: int, last_stride: int = 1) -> tuple[nn.Module, int]:
    """A backbone with the random weights that its library draws: images (B, 3, height, width) -> features (B, D).

    Returns it with D. `last_stride`: stride of a ResNet's last stage (ResNet, ResNeXt, Wide ResNet); 1 keeps twice the
    resolution there, as in reid-strong-baseline. Other families have no such stage, and are the same for 1 and 2.

    Raises ModelError for a name that its library does not know, for `timm:NAME` where timm is not installed, and for
    images of a size that the model cannot take.
    """
    if name.startswith(PREFIX):
        backbone = make_timm_backbone(name[len(PREFIX) :], height=height, width=width, last_stride=last_stride)
    else:
        backbone = _make_torchvision_backbone(name, last_stride)
    return backbone, _feature_width(backbone, name, height, width)


def _make_torchvision_backbone(name: str, last_stride: int) -> nn.Module:
    from torchvision import models

    known = backbone_names()
    if name not in known:
        near = nearest(name, known) or known
        raise ModelError(f"model.backbone: torchvision has no model {name!r}. Nearest: {', '.join(near)}")
    # torchvision's own defaults for these two are an auxiliary head, and a warning about their initialisation.
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        options = {"aux_logits": False, "init_weights": True}
    backbone: nn.Module = models.get_model(name, weights=None, **options)
    _drop_classifier(backbone)
    if last_stride == 1 and isinstance(backbone, models.ResNet):
        _keep_last_resolution(backbone)
    return backbone


def _drop_classifier(backbone: nn.Module) -> None:
    """Replace the classifier by nothing, and keep what stands between the last stage and the pooled feature."""
    from torchvision import models

    pool = nn.AdaptiveAvgPool2d(1)
    if isinstance(backbone, models.SqueezeNet):  # pools inside its classifier, after the 1x1 convolution to the classes
        backbone.classifier = pool
    elif isinstance(backbone, (models.VGG, models.AlexNet)):  # their fc takes 7x7 or 6x6 positions: 100M parameters
        backbone.avgpool, backbone.classifier = pool, nn.Identity()
    elif isinstance(backbone, models.ConvNeXt):  # LayerNorm2d, Flatten, Linear: the norm belongs to the feature
        backbone.classifier = backbone.classifier[:2]
    elif isinstance(backbone, models.MaxVit):  # pool, Flatten, LayerNorm, Linear, Tanh, Linear
        backbone.classifier = backbone.classifier[:3]
    else:
        head = next(name for name in ("fc", "classifier", "head", "heads") if hasattr(backbone, name))
        setattr(backbone, head, nn.Identity())


def _keep_last_resolution(resnet: nn.Module) -> None:
    """Stride 1 in the last stage, in the one block that halves the resolution. Weights keep their shapes."""
    from torchvision.models.resnet import Bottleneck

    block: Any = resnet.get_submodule("layer4.0")
    strided = block.conv2 if isinstance(block, Bottleneck) else block.conv1
    strided.stride = (1, 1)
    block.downsample[0].stride = (1, 1)
    block.stride = 1


def _feature_width(backbone: nn.Module, name: str, height: int, width: int) -> int:
    """D, by trying one image: it also tells whether the model takes images of this size at all.

    On the meta device, which follows shapes and computes nothing: a tenth of a second, where a real image through a
    ResNet-50 takes seconds on a busy CPU.
    """
    size = getattr(backbone, "image_size", None)  # ViT
    hint = f"; it takes {size}x{size} only" if size else ""
    tensors = [*backbone.named_parameters(), *backbone.named_buffers()]
    meta = {key: tensor.to("meta") for key, tensor in tensors}
    backbone.eval()  # one image is too few for a batch norm that is training
    try:
        with torch.no_grad():
            feature: Tensor = functional_call(backbone, meta, (torch.empty(1, 3, height, width, device="meta"),))
    except (RuntimeError, ValueError, AssertionError) as error:
        lines = str(error).strip().splitlines()
        raise ModelError(
            f"model.backbone: {name} cannot take images of {height}x{width} (data.height x data.width){hint}: "
            f"{lines[0] if lines else type(error).__name__}"
        ) from error
    finally:
        backbone.train()
    if feature.ndim != 2:
        raise ModelError(f"model.backbone: {name} gives {tuple(feature.shape)} for one image, not (1, D)")
    return feature.shape[1]
