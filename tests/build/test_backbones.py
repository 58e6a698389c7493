import pytest
import torch
from torchvision import models

from reid_smoke.build.backbones import backbone_names, build_backbone
from reid_smoke.errors import ModelError

# One of each family that takes ReID's sizes, the smallest of it, with the width of its pooled feature.
WIDTHS = {
    "alexnet": 256, "convnext_tiny": 768, "densenet121": 1024, "efficientnet_b0": 1280, "mnasnet0_5": 1280,
    "mobilenet_v2": 1280, "mobilenet_v3_small": 576, "regnet_x_400mf": 400, "resnet18": 512, "resnet50": 2048,
    "shufflenet_v2_x0_5": 1024, "squeezenet1_1": 512, "swin_t": 768, "vgg11_bn": 512,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(WIDTHS))
def test_each_family_gives_one_pooled_feature_an_image_and_learns(name):
    height, width_px = (128, 64) if name == "alexnet" else (64, 32)
    backbone, width = build_backbone(name, height=height, width=width_px)
    assert width == WIDTHS[name]
    feature = backbone(torch.randn(2, 3, height, width_px))  # (2, D)
    assert feature.shape == (2, width)
    feature.sum().backward()
    without = [n for n, p in backbone.named_parameters() if p.grad is None]
    assert not without, "a part of the classifier is left"


def test_the_resnet_feature_is_torchvisions_own():
    backbone, _ = build_backbone("resnet18", height=64, width=32, last_stride=2)
    whole = models.resnet18()
    whole.load_state_dict(backbone.state_dict(), strict=False)
    images = torch.randn(3, 3, 64, 32)
    seen = []
    whole.fc.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    whole.eval()(images)
    torch.testing.assert_close(backbone.eval()(images), seen[0])


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d"])
@pytest.mark.parametrize(("last_stride", "expected"), [(1, (4, 2)), (2, (2, 1))])
def test_last_stride_keeps_the_resolution_of_the_last_stage(name, last_stride, expected):
    backbone, _ = build_backbone(name, height=64, width=32, last_stride=last_stride)
    shapes = []
    backbone.layer4.register_forward_hook(lambda _m, _i, output: shapes.append(tuple(output.shape[2:])))
    backbone(torch.randn(2, 3, 64, 32))
    assert shapes == [expected]


def test_other_families_do_not_mind_last_stride():
    backbone, width = build_backbone("squeezenet1_1", height=64, width=32, last_stride=1)
    assert backbone(torch.randn(2, 3, 64, 32)).shape == (2, width)


def test_trying_one_image_leaves_no_trace():
    backbone, _ = build_backbone("resnet18", height=64, width=32)
    assert all(module.training for module in backbone.modules())
    assert backbone.bn1.num_batches_tracked == 0
    assert torch.equal(backbone.bn1.running_mean, torch.zeros(64))


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ModelError, match=r"no model 'resnet51'.*resnet50"):
        build_backbone("resnet51", height=64, width=32)
    with pytest.raises(ModelError, match="squeezenet1_1, swin_b"):  # nothing near: all of them
        build_backbone("???", height=64, width=32)


def test_a_size_that_a_transformer_cannot_take_is_said_with_the_one_it_can():
    with pytest.raises(ModelError, match=r"vit_b_32 cannot take images of 256x128.*takes 224x224 only"):
        build_backbone("vit_b_32", height=256, width=128)


def test_images_too_small_for_the_pooling_are_told():
    with pytest.raises(ModelError, match="alexnet cannot take images of 64x32"):
        build_backbone("alexnet", height=64, width=32)


def test_only_classification_models_are_offered():
    names = backbone_names()
    assert {"resnet50", "swin_t", "vit_b_16"} <= set(names)
    assert not {"fasterrcnn_resnet50_fpn", "raft_small", "r3d_18", "fcn_resnet50"} & set(names)
