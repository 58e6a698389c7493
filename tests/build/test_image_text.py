from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from reid_smoke.build.image_text import ImageTextModel, ImageTextOutput, build_image_text_model
from reid_smoke.build.losses import TrainingLoss
from reid_smoke.build.sdm import sdm_loss
from reid_smoke.config.schema import ModelConfig, TextConfig

LABELS = torch.tensor([0, 0, 1, 2])


@pytest.fixture(scope="module")
def model() -> ImageTextModel:
    torch.manual_seed(0)
    config = ModelConfig(backbone="shufflenet_v2_x0_5")
    return build_image_text_model(config, TextConfig(width=32), 5, 20, height=32, width=16)


def pairs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4, 3, 32, 16, generator=generator), torch.randint(1, 20, (4, 6), generator=generator)


def test_a_caption_is_the_same_beside_longer_ones(model: ImageTextModel) -> None:
    _, tokens = pairs()
    tokens[0, 3:] = 0
    alone = model.text_tower(tokens[:1, :3])
    assert torch.allclose(model.text_tower(tokens)[0], alone[0], atol=1e-5)


def test_both_sides_teach_the_classifier_that_they_share(model: ImageTextModel) -> None:
    output = model(*pairs())
    assert isinstance(output, ImageTextOutput)
    for side in output:
        assert side.logits.shape == (4, 5)
        assert torch.allclose(side.bn_feature.norm(dim=1), torch.tensor(8.0))
    image, text = (F.cross_entropy(side.logits, LABELS) for side in output)
    assert TrainingLoss(instances=None)(output, LABELS).item() == pytest.approx((image + text).item())
    sdm = sdm_loss(output.image.bn_feature, output.text.bn_feature, LABELS)
    loss = TrainingLoss(sdm_weight=0.3, instances=None)(output, LABELS)
    assert loss.item() == pytest.approx((image + text + 0.3 * sdm).item())
    weight = model.bn_neck.classifier.weight
    gradients = [torch.autograd.grad(part, weight, retain_graph=True)[0] for part in (image, text)]
    assert all(gradient.norm() > 0 for gradient in gradients)
    assert not torch.allclose(*gradients)


def test_images_alone_have_features_in_eval_mode(model: ImageTextModel) -> None:
    model.eval()
    features = model(pairs()[0])
    model.train()
    assert isinstance(features, torch.Tensor)
    assert features.shape == (4, 1024)
