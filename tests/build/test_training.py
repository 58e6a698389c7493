import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from torchvision import models

from reid_smoke.build.data.training_set import Sample, TrainingSet
from reid_smoke.build.training import build_training, resolve_device
from reid_smoke.config.schema import Config
from reid_smoke.errors import UsageError
from reid_smoke.facts import DatasetFacts, FreezeFacts, WeightsFacts

SAMPLES = tuple(Sample(pid=label, label=label, camera=1, image=i) for i, label in enumerate([0, 1, 2, 3, 4, 4]))
SET = TrainingSet(source="noise", samples=SAMPLES, pids=(0, 1, 2, 3, 4))
LOADER = DataLoader(TensorDataset(torch.zeros(6, 3, 32, 32), torch.zeros(6), torch.zeros(6)), batch_size=2)


def built(**sections):
    data = {"height": 32, "width": 32, "batch_size": 2} | sections.pop("data", {})
    config = Config(data=data, model={"backbone": "squeezenet1_1"} | sections.pop("model", {}), **sections)
    return build_training(config, SET, LOADER, torch.device("cpu"))


def test_the_default_is_the_recipe():
    training = built()
    assert training.num_classes == 5
    assert training.model.bn_neck.classifier.weight.shape == (5, 512)
    assert training.steps_per_epoch == 3
    assert (training.scheduler, training.scaler) == (None, None)
    assert [(g["lr"], g["name"]) for g in training.optimizer.param_groups] == [
        (1e-2, r"^bn_neck\.classifier"),
        (1e-5, "rest"),
    ]
    assert training.model.training


def test_the_same_config_gives_the_same_weights_whatever_was_drawn_before():
    first = built(seed=3).model.state_dict()
    torch.rand(100)
    again, other = built(seed=3).model.state_dict(), built(seed=4).model.state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["bn_neck.classifier.weight"], other["bn_neck.classifier.weight"])


def test_what_came_up_while_building_is_in_the_facts(tmp_path):
    path = tmp_path / "w.pth"
    torch.save(models.squeezenet1_1().state_dict(), path)
    training = built(model={"weights": path, "freeze": [r"features\.0", "nowhere"], "num_classes": 4})
    data, weights, *frozen = training.facts
    assert isinstance(data, DatasetFacts)
    assert (data.labels_out_of_range, data.num_classes) == (2, 4)
    assert isinstance(weights, WeightsFacts)
    assert (weights.matched, weights.missing, weights.unexpected) == (50, 0, 2)
    assert [(type(f), len(f.matched)) for f in frozen] == [(FreezeFacts, 2), (FreezeFacts, 0)]
    held = {id(p) for group in training.optimizer.param_groups for p in group["params"]}
    assert id(training.model.backbone.features[0].weight) not in held


def test_fp16_brings_a_scaler_and_no_fused_step():
    training = built(train={"amp": "fp16"})
    assert training.scaler is not None
    assert not any(group["fused"] for group in training.optimizer.param_groups)
    assert all(group["fused"] for group in built(train={"amp": "bf16"}).optimizer.param_groups)


def test_a_batch_of_one_image_is_refused():
    with pytest.raises(UsageError, match="batch_size is 1"):
        built(data={"batch_size": 1})


def test_devices(monkeypatch):
    assert resolve_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    for version, why in (("12.8", "finds no CUDA device"), (None, "is built without CUDA")):
        monkeypatch.setattr(torch.version, "cuda", version)
        with pytest.raises(UsageError, match=why) as raised:
            resolve_device("cuda")
        assert raised.value.exit_code == 2
