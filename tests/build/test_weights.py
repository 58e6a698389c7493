import argparse
import copy
import functools
import zipfile

import pytest
import torch
from torch import nn
from torchvision import models

from reid_smoke.build.model import BNNeckModel, build_model
from reid_smoke.build.weights import load_weights
from reid_smoke.config.schema import ModelConfig
from reid_smoke.errors import ModelError

SHUFFLENET_WEIGHTS = 280  # 56 convolutions, and four tensors of the batch norm behind each


def shufflenet(num_classes=5, seed=0) -> BNNeckModel:
    return copy.deepcopy(built(num_classes, seed))


@functools.cache
def built(num_classes, seed) -> BNNeckModel:
    torch.manual_seed(seed)
    return build_model(ModelConfig(backbone="shufflenet_v2_x0_5"), num_classes, height=32, width=32)


def saved(tmp_path, content, **kwargs):
    path = tmp_path / "weights.pth"
    torch.save(content, path, **kwargs)
    return path


def same(model: nn.Module, other: nn.Module) -> bool:
    pairs = zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_torchvision_checkpoint_fills_the_backbone(tmp_path):
    theirs = models.shufflenet_v2_x0_5()
    ours = shufflenet()
    facts = load_weights(ours, saved(tmp_path, theirs.state_dict()))
    assert (facts.matched, facts.missing, facts.unexpected, facts.wrong_shape) == (SHUFFLENET_WEIGHTS, 0, 2, 0)
    assert facts.examples == ("unexpected: fc.weight", "unexpected: fc.bias")
    theirs.fc = nn.Identity()
    assert same(ours.backbone, theirs)


@pytest.mark.parametrize("container", [None, "state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module.model."])
def test_the_whole_model_is_found_wherever_it_lies(tmp_path, container, prefix):
    theirs, ours = shufflenet(seed=1), shufflenet(seed=2)
    content = {prefix + key: tensor for key, tensor in theirs.state_dict().items()}
    facts = load_weights(ours, saved(tmp_path, {container: content, "epoch": 3} if container else content))
    assert (facts.matched, facts.missing, facts.unexpected) == (SHUFFLENET_WEIGHTS + 5, 0, 0)
    assert same(ours, theirs)


@pytest.mark.parametrize(
    "prefix", ["", "backbone.", "base.", "model.", "module.base.", "module.backbone.", "backbone.base."]
)
def test_the_backbone_is_found_behind_any_prefix(tmp_path, prefix):
    theirs, ours = shufflenet(seed=1), shufflenet(seed=2)
    content = {prefix + key: tensor for key, tensor in theirs.backbone.state_dict().items()}
    facts = load_weights(ours, saved(tmp_path, content))
    assert (facts.matched, facts.missing, facts.unexpected) == (SHUFFLENET_WEIGHTS, 0, 0)
    assert same(ours.backbone, theirs.backbone)
    assert not same(ours.bn_neck, theirs.bn_neck)


def test_a_transreid_style_checkpoint_leaves_its_head_out_and_says_so(tmp_path):
    theirs = shufflenet(seed=1)
    content = {f"base.{key}": tensor for key, tensor in theirs.backbone.state_dict().items()}
    content |= {"bottleneck.weight": torch.ones(512), "classifier.weight": torch.ones(751, 512)}
    ours = shufflenet(seed=2)
    facts = load_weights(ours, saved(tmp_path, content))
    assert (facts.matched, facts.missing, facts.unexpected) == (SHUFFLENET_WEIGHTS, 0, 2)
    assert same(ours.backbone, theirs.backbone)


def test_a_head_of_another_width_is_counted_and_left_alone(tmp_path):
    ours = shufflenet(num_classes=5)
    before = ours.bn_neck.classifier.weight.clone()
    facts = load_weights(ours, saved(tmp_path, shufflenet(num_classes=751).state_dict()))
    assert (facts.matched, facts.missing, facts.wrong_shape) == (SHUFFLENET_WEIGHTS + 4, 0, 1)
    assert facts.examples == ("wrong shape: bn_neck.classifier.weight is (751, 1024), the model's (5, 1024)",)
    assert torch.equal(ours.bn_neck.classifier.weight, before)


def test_a_part_that_is_missing_is_counted(tmp_path):
    content = {
        key: tensor for key, tensor in models.shufflenet_v2_x0_5().state_dict().items() if not key.startswith("stage4")
    }
    facts = load_weights(shufflenet(), saved(tmp_path, content))
    assert (facts.matched, facts.missing) == (SHUFFLENET_WEIGHTS - 70, 70)
    assert "missing: backbone.stage4.0.branch1.0.weight" in facts.examples


def test_another_models_checkpoint_matches_nothing_and_is_no_error(tmp_path):
    ours = shufflenet(seed=3)
    facts = load_weights(ours, saved(tmp_path, models.squeezenet1_1().state_dict()))
    assert facts.matched == 0
    assert facts.missing == SHUFFLENET_WEIGHTS
    assert facts.unexpected == len(models.squeezenet1_1().state_dict())
    assert same(ours, shufflenet(seed=3))


def test_names_with_other_numbers_are_matched_by_order(tmp_path):
    """MobileNetV2 as published before torchvision's: convolution, norm and activation stand flat in a block."""
    ours = build_model(ModelConfig(backbone="mobilenet_v2"), 5, height=32, width=32)
    theirs = build_model(ModelConfig(backbone="mobilenet_v2"), 5, height=32, width=32).backbone
    flat = {f"features.{i}.x.{i}.{key.split('.')[-1]}": v for i, (key, v) in enumerate(theirs.state_dict().items())}
    assert load_weights(ours, saved(tmp_path, flat)).matched == 0  # other names altogether: not by order
    flat = {}
    for key, tensor in theirs.state_dict().items():
        head, _, rest = key.partition(".conv.")
        flat[f"{head}.conv.9{rest.replace('.', '.7.', 1)}" if rest else key] = tensor
    facts = load_weights(ours, saved(tmp_path, flat))
    assert (facts.matched, facts.missing, facts.unexpected) == (260, 0, 0)
    assert facts.examples[0].startswith("matched by order")
    assert same(ours.backbone, theirs)


def test_densenets_old_names_are_read(tmp_path):
    theirs = models.densenet121()
    old = {}
    for key, tensor in theirs.state_dict().items():
        for part in ("norm", "conv"):
            for number in "12":
                key = key.replace(f".{part}{number}.", f".{part}.{number}.") if "denselayer" in key else key
        old[key] = tensor
    assert any(".norm.1." in key for key in old)
    ours = build_model(ModelConfig(backbone="densenet121"), 5, height=32, width=32)
    facts = load_weights(ours, saved(tmp_path, old))
    assert (facts.missing, facts.unexpected, facts.wrong_shape) == (0, 2, 0)


def test_half_precision_weights_become_single(tmp_path):
    theirs, ours = shufflenet(seed=1), shufflenet(seed=2)
    half = {key: t.half() if t.is_floating_point() else t for key, t in theirs.state_dict().items()}
    load_weights(ours, saved(tmp_path, half))
    assert ours.backbone.conv1[0].weight.dtype == torch.float32
    torch.testing.assert_close(ours.backbone.conv1[0].weight, theirs.backbone.conv1[0].weight, rtol=1e-3, atol=1e-4)


FILES = {
    "does not exist": None,
    "is empty": b"",
    "is a text file": b"hello there\n",
    "is a web page": b"\n<!DOCTYPE html><html>Not found</html>",
    "is a git-lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n",
    "is a safetensors file": (24).to_bytes(8, "little") + b'{"w":{"dtype":"F32"}}   ' + bytes(8),
    "is no file that torch.save wrote": b"\x89PNG\r\n\x1a\n" + bytes(100),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_no_checkpoint_is_told_for_what_it_is(tmp_path, what):
    path = tmp_path / "w.pth"
    if (content := FILES[what]) is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=what) as raised:
        load_weights(shufflenet(), path)
    assert raised.value.exit_code == 2
    assert str(path) in str(raised.value)


def test_a_folder_a_torn_file_and_a_foreign_zip_are_told(tmp_path):
    with pytest.raises(ModelError, match="is a folder"):
        load_weights(shufflenet(), tmp_path)
    path = saved(tmp_path, {"w": torch.ones(1000)})
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ModelError, match="is a torn zip archive"):
        load_weights(shufflenet(), path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes/a.txt", "x")
    with pytest.raises(ModelError, match=r"zip archive of other things than weights: notes/a\.txt"):
        load_weights(shufflenet(), path)


@pytest.mark.parametrize("new_format", [True, False])
def test_what_needs_code_to_be_unpickled_is_refused_by_its_name(tmp_path, new_format):
    content = {"args": argparse.Namespace(lr=1), "model": {"w": torch.ones(1)}}
    path = saved(tmp_path, content, _use_new_zipfile_serialization=new_format)
    with pytest.raises(ModelError, match=r"holds a pickled argparse\.Namespace"):
        load_weights(shufflenet(), path)


@pytest.mark.parametrize(("content", "what"), [
    ([torch.ones(1)], "holds a list, and no tensors by name"),
    ({}, "holds a dict of nothing"),
    ({"epoch": 1, "model": {"lr": 0.1}}, "holds a dict of 'epoch', 'model'"),
])  # fmt: skip
def test_a_checkpoint_without_tensors_is_told(tmp_path, content, what):
    with pytest.raises(ModelError, match=what):
        load_weights(shufflenet(), saved(tmp_path, content))
