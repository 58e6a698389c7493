"""timm's models as backbones. Without timm these tests are skipped, but for the one of what is said then."""

import sys

import pytest
import torch

from reid_smoke.build.backbones import build_backbone
from reid_smoke.build.model import build_model
from reid_smoke.build.weights import load_weights
from reid_smoke.config.schema import ModelConfig
from reid_smoke.errors import ModelError


def test_without_timm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelError, match=r"timm:resnet18 needs timm.*pip install 'reid-smoke\[timm\]'"):
        build_backbone("timm:resnet18", height=64, width=32)


@pytest.fixture
def timm():
    return pytest.importorskip("timm")


@pytest.mark.parametrize(
    ("name", "height", "width_px", "width"),
    [
        ("vit_tiny_patch16_224", 256, 128, 192),
        ("vit_tiny_patch16_224.augreg_in21k", 32, 16, 192),
        ("swin_tiny_patch4_window7_224", 64, 32, 768),
        ("mobilenetv3_small_050", 64, 32, 1024),
    ],
)
def test_a_model_takes_reid_sizes_and_learns(timm, name, height, width_px, width):
    backbone, found = build_backbone(f"timm:{name}", height=height, width=width_px)
    assert found == width
    feature = backbone(torch.randn(2, 3, height, width_px))  # (2, D)
    assert feature.shape == (2, width)
    feature.sum().backward()
    assert not [n for n, p in backbone.named_parameters() if p.grad is None], "a part of the classifier is left"


@pytest.mark.parametrize("name", ["resnet18", "resnet26d"])
@pytest.mark.parametrize(("last_stride", "expected"), [(1, (4, 2)), (2, (2, 1))])
def test_last_stride_is_as_of_torchvisions(timm, name, last_stride, expected):
    backbone, _ = build_backbone(f"timm:{name}", height=64, width=32, last_stride=last_stride)
    assert backbone.forward_features(torch.randn(2, 3, 64, 32)).shape[2:] == expected


def test_a_resnet_is_torchvisions_own(timm):
    """timm's ResNet-18 with torchvision's weights gives torchvision's feature, at stride 1, too."""
    theirs, _ = build_backbone("resnet18", height=64, width=32)
    ours, _ = build_backbone("timm:resnet18", height=64, width=32)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 64, 32)
    torch.testing.assert_close(ours.eval()(images), theirs.eval()(images))


def test_weights_for_224_have_their_positions_resampled_as_timm_does(timm, tmp_path):
    from timm.models.vision_transformer import checkpoint_filter_fn

    original = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    torch.save(original.state_dict(), tmp_path / "vit.pth")
    config = ModelConfig(backbone="timm:vit_tiny_patch16_224")
    model = build_model(config, 5, height=256, width=128)
    facts = load_weights(model, tmp_path / "vit.pth")
    assert (facts.missing, facts.wrong_shape, facts.unexpected) == (0, 0, 0)
    assert facts.examples == ("pos_embed: resampled from 14x14 to 16x8 positions",)
    expected = checkpoint_filter_fn(original.state_dict(), model.backbone)["pos_embed"]
    assert expected.shape == (1, 1 + 16 * 8, 192)
    torch.testing.assert_close(model.backbone.pos_embed.detach(), expected)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("vit_smal_patch16_224", r"no model 'vit_smal_patch16_224'\. Nearest: timm:vit_small_patch16_224"),
        ("maxvit_tiny_rw_224", "maxvit_tiny_rw_224 cannot .* 250x128"),
    ],
)
def test_what_timm_cannot_do_is_told(timm, name, said):
    with pytest.raises(ModelError, match=said):
        build_backbone(f"timm:{name}", height=250, width=128)
