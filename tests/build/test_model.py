import pytest
import torch

from reid_smoke.build.model import BNNeckModel, BNNeckOutput, build_model
from reid_smoke.config.schema import HEAD_PATTERN, ModelConfig


def tiny(feat_norm=8.0, num_classes=7) -> BNNeckModel:
    torch.manual_seed(0)
    config = ModelConfig(backbone="squeezenet1_1", feat_norm=feat_norm)
    return build_model(config, num_classes, height=32, width=32)


def test_training_gives_logits_feature_and_the_feature_that_the_classifier_sees():
    model = tiny()
    output = model(torch.randn(4, 3, 32, 32))
    assert isinstance(output, BNNeckOutput)
    assert [tuple(part.shape) for part in output] == [(4, 7), (4, 512), (4, 512)]
    torch.testing.assert_close(output.logits, output.bn_feature @ model.bn_neck.classifier.weight.T)
    torch.testing.assert_close(output.bn_feature.norm(dim=1), torch.full((4,), 8.0))
    centred = output.feature - output.feature.mean(dim=0)
    normed = centred / (output.feature.var(dim=0, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(output.bn_feature, 8 * normed / normed.norm(dim=1, keepdim=True), rtol=1e-3, atol=1e-4)


def test_eval_gives_the_bn_feature_alone():
    model = tiny().eval()
    feature = model(torch.randn(3, 3, 32, 32))
    assert feature.shape == (3, 512)
    torch.testing.assert_close(feature.norm(dim=1), torch.full((3,), 8.0))


def test_feat_norm_null_leaves_the_feature_as_it_comes():
    output = tiny(feat_norm=None)(torch.randn(4, 3, 32, 32))
    per_channel = output.bn_feature.std(dim=0, unbiased=False)
    alive = output.feature.std(dim=0) > 0.1
    torch.testing.assert_close(per_channel[alive], torch.ones(int(alive.sum())), rtol=1e-2, atol=1e-2)


def test_names_and_initialisation_are_the_fields():
    model = tiny(num_classes=200)
    names = dict(model.named_parameters())
    heads = [name for name in names if name.startswith("bn_neck")]
    assert heads == ["bn_neck.bn.weight", "bn_neck.bn.bias", "bn_neck.classifier.weight"]
    assert all(name.startswith("backbone.") for name in names if name not in heads)
    assert HEAD_PATTERN == r"^bn_neck\.classifier"
    assert [name for name, p in names.items() if not p.requires_grad] == ["bn_neck.bn.bias"]
    weight = names["bn_neck.classifier.weight"]
    assert weight.shape == (200, 512)
    assert weight.std().item() == pytest.approx(0.001, rel=0.05)
    assert abs(weight.mean().item()) < 5e-5


def test_a_feature_of_zeros_stays_finite_under_autocast():
    model = tiny()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, bn_feature = model.bn_neck(torch.zeros(4, 512))
    assert torch.isfinite(logits).all()
    assert bn_feature.dtype == torch.float32
