"""timm's models by name, `timm:vit_small_patch16_224`, without their classifier. An extra, imported when asked for.

Nothing is downloaded: the weights are random, and a local checkpoint comes by `model.weights`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from reid_smoke.errors import ModelError, nearest

PREFIX = "timm:"


def make_timm_backbone(name: str, *, height: int, width: int, last_stride: int) -> nn.Module:
    """The model that timm calls `name`: images (B, 3, height, width) -> pooled features (B, D).

    A model of a fixed image size, as a ViT is, is built for this one. `last_stride`: as of torchvision's ResNets.

    Raises ModelError: timm is not installed, has no such model, or none that can be built for this size.
    """
    try:
        import timm
    except ModuleNotFoundError as error:
        raise ModelError(
            f"model.backbone: {PREFIX}{name} needs timm, and {error.name} is not installed: "
            "pip install 'reid-smoke[timm]'"
        ) from error
    if not timm.is_model(name):
        near = nearest(name, timm.list_models()) or timm.list_models("vit_*patch16_224")
        raise ModelError(
            f"model.backbone: timm has no model {name!r}. Nearest: {', '.join(PREFIX + one for one in near)}"
        )
    known = timm.get_pretrained_cfg(name)
    is_fixed = known is not None and known.fixed_input_size
    options: dict[str, Any] = {"img_size": (height, width)} if is_fixed else {}
    try:
        backbone: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, **options)
    except Exception as error:  # each architecture refuses a size in its own way
        lines = str(error).strip().splitlines()
        raise ModelError(
            f"model.backbone: timm's {name} cannot be built for images of {height}x{width} (data.height x data.width): "
            f"{lines[0] if lines else type(error).__name__}"
        ) from error
    if last_stride == 1 and isinstance(backbone, timm.models.ResNet):
        _keep_last_resolution(backbone)
    return backbone


def _keep_last_resolution(resnet: nn.Module) -> None:
    """Stride 1 in the last stage. What only pools there, as in ResNet-D, is left out: so does timm at stride 1."""
    block = resnet.get_submodule("layer4.0")
    for name, module in list(block.named_modules()):
        if getattr(module, "stride", 1) not in (2, (2, 2)) or module is block:
            continue
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
        else:
            block.set_submodule(name, nn.Identity())


def fit_positions(tensors: dict[str, Tensor], backbone: nn.Module) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """A checkpoint's position embeddings for the grid of patches that this backbone has; the rest as it is.

    Weights of 224x224 are the rule, and a ViT for 256x128 has 16x8 positions where those have 14x14. Resampled by timm,
    bicubic. Returns with them what was done, for people. Of a backbone without positions nothing is done.
    """
    grid = getattr(getattr(backbone, "patch_embed", None), "grid_size", None)
    own = getattr(backbone, "pos_embed", None)
    if grid is None or not isinstance(own, Tensor) or own.ndim != 3:
        return tensors, ()
    from timm.layers.pos_embed import resample_abs_pos_embed

    extra = own.shape[1] - grid[0] * grid[1]  # positions of class tokens and the like
    fitted, done = dict(tensors), []
    for key, tensor in tensors.items():
        others = tensor.ndim == 3 and tensor.shape[1] != own.shape[1] and tensor.shape[::2] == own.shape[::2]
        side = round(max(0, tensor.shape[1] - extra) ** 0.5) if others else 0
        if key.rpartition(".")[2] == "pos_embed" and others and side**2 + extra == tensor.shape[1]:
            fitted[key] = resample_abs_pos_embed(tensor, list(grid), num_prefix_tokens=extra)
            done.append(f"{key}: resampled from {side}x{side} to {grid[0]}x{grid[1]} positions")
    return fitted, tuple(done)
