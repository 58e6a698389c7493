import re

import pytest
import torch
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

from reid_smoke.build.model import BNNeckModel, build_model
from reid_smoke.build.optimizer import build_optimizer, freeze
from reid_smoke.config.schema import GroupConfig, ModelConfig, OptimizerConfig
from reid_smoke.errors import ModelError


@pytest.fixture
def model() -> BNNeckModel:
    """A BNNeck over a narrow ResNet: real names, and built in no time."""
    backbone = ResNet(Bottleneck, [1, 1, 1, 1], width_per_group=4)
    backbone.fc = nn.Identity()
    return BNNeckModel(backbone, 2048, 5)


def names_by_group(optimizer, model):
    name_of = {id(parameter): name for name, parameter in model.named_parameters()}
    return {group["name"]: [name_of[id(p)] for p in group["params"]] for group in optimizer.param_groups}


def group(match, lr=1e-3, **kwargs):
    return GroupConfig(match=match, lr=lr, **kwargs)


def test_the_recipe_has_two_groups(model):
    optimizer = build_optimizer(OptimizerConfig(), model)
    assert isinstance(optimizer, torch.optim.AdamW)
    groups = names_by_group(optimizer, model)
    assert groups[r"^bn_neck\.classifier"] == ["bn_neck.classifier.weight"]
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    assert groups["rest"] == [name for name in trainable if name != "bn_neck.classifier.weight"]
    assert "bn_neck.bn.bias" not in groups["rest"]
    assert [(g["lr"], g["weight_decay"]) for g in optimizer.param_groups] == [(1e-2, 1e-4), (1e-5, 1e-4)]


@pytest.mark.parametrize("patterns", [
    [r"bias$", r"layer4", r"^bn_neck"], [r"layer4", r"bias$"], [r"layer[12]\.", r"layer", r"conv1"], [r""], [],
])  # fmt: skip
def test_the_first_group_that_finds_a_name_takes_it(model, patterns):
    config = OptimizerConfig(groups=[group(pattern) for pattern in patterns])
    brute: dict[str, list[str]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            taker = next((pattern for pattern in patterns if re.search(pattern, name)), "rest")
            brute.setdefault(taker, []).append(name)
    assert names_by_group(build_optimizer(config, model), model) == brute


def test_lr_null_leaves_the_rest_out(model):
    optimizer = build_optimizer(OptimizerConfig(lr=None), model)
    assert names_by_group(optimizer, model) == {r"^bn_neck\.classifier": ["bn_neck.classifier.weight"]}


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("fused", [True, False])
def test_settings_arrive_and_a_step_moves_the_weights(model, name, fused):
    config = OptimizerConfig(
        name=name, lr=0.1, momentum=0.8, eps=1e-3, weight_decay=0.2, groups=[group("layer4", weight_decay=0.0)]
    )
    optimizer = build_optimizer(config, model, fused=fused)
    first, rest = optimizer.param_groups
    assert (first["lr"], first["weight_decay"], rest["lr"], rest["weight_decay"]) == (1e-3, 0.0, 0.1, 0.2)
    assert rest["momentum"] == 0.8 if name == "sgd" else rest["eps"] == 1e-3
    before = model.bn_neck.classifier.weight.clone()
    model(torch.randn(2, 3, 32, 32)).logits.sum().backward()
    optimizer.step()
    assert not torch.equal(before, model.bn_neck.classifier.weight)


def test_fused_and_plain_take_the_same_steps():
    weights = []
    for fused in (True, False):
        torch.manual_seed(0)
        model = build_model(ModelConfig(backbone="squeezenet1_1"), 5, height=32, width=32)
        optimizer = build_optimizer(OptimizerConfig(lr=1e-3), model, fused=fused)
        for step in range(3):
            for number, parameter in enumerate(model.parameters()):
                generator = torch.Generator().manual_seed(100 * step + number)
                parameter.grad = torch.randn(parameter.shape, generator=generator) if parameter.requires_grad else None
            optimizer.step()
        weights.append([parameter.detach() for parameter in model.parameters()])
    for a, b in zip(*weights, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_pattern_that_finds_nothing_names_what_is_near(model):
    with pytest.raises(ModelError) as raised:
        build_optimizer(OptimizerConfig(groups=[group(r"^bnneck\.clasifier")]), model)
    message = str(raised.value)
    assert raised.value.exit_code == 2
    assert message.startswith(r"optimizer.groups[0].match: '^bnneck\\.clasifier' is found in none of")
    assert "bn_neck.classifier" in message
    with pytest.raises(ModelError, match=r"Nearest:.*bn_neck\.classifier\.weight"):  # nothing near: the head's names
        build_optimizer(OptimizerConfig(groups=[group("arcface")]), model)


def test_a_group_that_comes_too_late_is_told_who_was_first(model):
    config = OptimizerConfig(groups=[group("layer4"), group(r"layer4\.0")])
    with pytest.raises(ModelError, match=r"groups\[1\].*layer4\.0\.conv1\.weight.*an earlier group has all taken"):
        build_optimizer(config, model)


def test_freezing_takes_the_gradient_and_says_what_it_found(model):
    facts = freeze(model, [r"^backbone\.layer1", "fc$"])
    assert [fact.pattern for fact in facts] == [r"^backbone\.layer1", "fc$"]
    layer1 = tuple(name for name, _ in model.named_parameters() if name.startswith("backbone.layer1"))
    assert (facts[0].matched, facts[1].matched) == (layer1, ())
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {*layer1, "bn_neck.bn.bias"}


def test_a_frozen_head_leaves_its_group_out_and_an_all_frozen_model_is_refused(model):
    freeze(model, [r"^bn_neck\.classifier"])
    assert list(names_by_group(build_optimizer(OptimizerConfig(), model), model)) == ["rest"]
    freeze(model, [""])
    with pytest.raises(ModelError, match="nothing is left to train"):
        build_optimizer(OptimizerConfig(), model)
