"""Losses of a user's own, by import path: in CE's place, with the classifier in them or behind a model's own."""

import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from typer.testing import CliRunner

from reid_smoke.build.data.loader import build_loader
from reid_smoke.build.data.training_set import open_training_set
from reid_smoke.build.training import Training, build_training
from reid_smoke.cli.app import app
from reid_smoke.config.schema import Config
from reid_smoke.errors import UsageError
from reid_smoke.train.loop import train
from reid_smoke.train.ranks import Place, Ranks
from reid_smoke.triage.changes import CHANGES

CODE = """
import torch
from torch import nn
from torch.nn import functional as F

class CosFace(nn.Module):  # gives logits, with the margin in them
    def __init__(self, in_features, out_features, m=0.35):
        super().__init__()
        self.m = m
        self.weight = nn.Parameter(torch.randn(out_features, in_features) * 0.01)

    def forward(self, features, labels):
        cosine = F.linear(F.normalize(features), F.normalize(self.weight))
        return 16 * (cosine - self.m * F.one_hot(labels, len(self.weight)))

class CosFaceLoss(CosFace):  # gives the loss
    def forward(self, features, labels):
        return F.cross_entropy(super().forward(features, labels), labels)

class Classifier(nn.Module):
    def __init__(self, num_classes, feat_dim):
        super().__init__()
        self.fc = nn.Linear(feat_dim, num_classes)

    def forward(self, features):
        return self.fc(features)

class Smoothed(nn.Module):
    def forward(self, logits, labels):
        return F.cross_entropy(logits, labels, label_smoothing=0.1)

class Both(CosFace):
    def forward(self, features, labels):
        return super().forward(features, labels), features

class Detached(CosFaceLoss):
    def forward(self, features, labels):
        return super().forward(features, labels).detach()

class OnFour(CosFaceLoss):
    def forward(self, features, labels, cameras, views):
        return super().forward(features, labels)

class Backbone(nn.Module):
    def __init__(self, outputs=1):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 16, 24), nn.BatchNorm1d(24))
        self.outputs = outputs

    def forward(self, images):
        feature = self.layers(images)
        return feature if self.outputs == 1 else (feature, feature + 1)

def a_lambda():
    return lambda features, labels: features.sum()

def raising(num_classes):
    raise ValueError("the margin is at home")
"""
DATA = {"identities": 6, "height": 32, "width": 16, "batch_size": 12}
OWN_MODEL = {"target": "their_losses:Backbone"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "their_losses.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config_of(name: str, model: dict | None = None, **loss: object) -> Config:
    model = model or {"backbone": "shufflenet_v2_x0_5"}
    loss = {"target": f"their_losses:{name}", **loss}
    return Config.model_validate({"device": "cpu", "data": DATA, "model": model, "loss": loss})


def training_of(name: str, model: dict | None = None, **loss: object) -> Training:
    config = config_of(name, model, **loss)
    training_set = open_training_set(config.data)
    loader = build_loader(training_set, config.data, seed=0, on_unreadable=lambda fact: None)
    return build_training(config, training_set, loader, torch.device("cpu"))


@pytest.mark.parametrize(
    ("name", "model", "call", "head", "shape"),
    [
        ("CosFace", None, "features, labels", "CosFace.weight", (6, 1024)),
        ("CosFaceLoss", OWN_MODEL, "features, labels", "CosFaceLoss.weight", (6, 24)),
        ("Classifier", OWN_MODEL, "features", "Classifier.fc.weight", (6, 24)),
    ],
)
def test_a_classifier_in_the_loss_is_the_head_and_learns(name, model, call, head, shape):
    training = training_of(name, model, call=call)
    assert training.head == head
    lrs = {group["name"]: (group["lr"], len(group["params"])) for group in training.optimizer.param_groups}
    held = {id(parameter) for group in training.optimizer.param_groups for parameter in group["params"]}
    weight = dict(training.loss.criterion.named_parameters())[head.partition(".")[2]]
    assert lrs[f"^{name}\\."] == (0.01, len(list(training.loss.criterion.parameters())))
    assert weight.shape == shape
    assert held == {
        id(p) for part in (training.model, training.loss.criterion) for p in part.parameters() if p.requires_grad
    }
    before = weight.detach().clone()
    train(training, max_steps=2, stop=lambda step: False)
    assert (weight - before).abs().max() > 0.001


def test_a_loss_on_logits_leaves_the_model_its_head():
    training = training_of("Smoothed", call="logits, labels")
    assert training.head == "bn_neck.classifier.weight"
    output, labels = training.model(torch.randn(4, 3, 32, 16)), torch.tensor([0, 1, 2, 5])
    expected = F.cross_entropy(output.logits, labels, label_smoothing=0.1)
    torch.testing.assert_close(training.loss(output, labels), expected)


def test_logits_are_smoothed_as_the_config_says_and_sdm_comes_beside():
    training = training_of("Classifier", OWN_MODEL, call="features", label_smoothing=0.2)
    features, labels = torch.randn(4, 24), torch.tensor([0, 1, 2, 5])
    output = training.forward(torch.randn(4, 3, 32, 16), labels, labels)._replace(bn_feature=features)
    expected = F.cross_entropy(training.loss.criterion.fc(features), labels, label_smoothing=0.2)
    torch.testing.assert_close(training.loss(output, labels), expected)


def test_on_several_ranks_the_loss_averages_its_gradients_too(monkeypatch):
    class Averaging(torch.nn.Module):
        def __init__(self, module, device_ids, **how):
            super().__init__()
            self.module = module
            wrapped.append(type(module).__name__)

        def register_comm_hook(self, state, hook):
            pass

        def forward(self, *arguments):
            return self.module(*arguments)

    wrapped: list[str] = []
    monkeypatch.setattr(torch.nn.parallel, "DistributedDataParallel", Averaging)
    shared = Ranks(Place(0, 2, 0, 2)).share(training_of("CosFaceLoss", OWN_MODEL))
    assert wrapped == ["Backbone", "CosFaceLoss"]
    assert isinstance(shared.loss.criterion, Averaging)
    train(shared, max_steps=2, stop=lambda step: False)


def test_every_trial_of_triage_is_a_config_that_can_be_built():
    config = config_of("CosFace", OWN_MODEL)
    for change in CHANGES:
        changed = change.change(config)
        if changed is not None:
            Config.model_validate(changed.to_plain())
            assert changed.loss.target == (None if change.swap == "model" else config.loss.target)


@pytest.mark.parametrize(
    ("name", "model", "loss", "said"),
    [
        ("CosFase", None, {}, "loss.target: their_losses has no CosFase. Nearest: CosFace"),
        ("a_lambda", None, {}, "loss.target: their_losses:a_lambda gave a function, not a torch.nn.Module"),
        ("raising", None, {}, "ValueError: the margin is at home"),
        ("CosFace", None, {"cwd": "nowhere"}, "loss.cwd: nowhere is no folder"),
        ("CosFace", None, {"kwargs": {"margin": 1}}, r"loss.kwargs: .* takes \(in_features, out_features, m=0.35\)"),
        ("Both", None, {}, r"gives \[0\] \(4, 6\), \[1\] \(4, 1024\) for 4 images, neither a scalar nor logits"),
        ("Detached", None, {}, "no gradient goes back"),
        ("OnFour", None, {}, r"called with \(features, labels\).*takes \(features, labels, cameras, views\)"),
        ("Smoothed", None, {}, "no weight that is trained.*say loss.call: 'logits, labels'"),
        ("CosFaceLoss", None, {"label_smoothing": 0.1}, "nothing is left to smooth.*loss.kwargs"),
        ("CosFace", OWN_MODEL | {"kwargs": {"outputs": 2}}, {}, r"model.bn_feature: .* 2 outputs .*\[1\] \(4, 24\)"),
        ("CosFace", OWN_MODEL | {"bn_feature": "[0]"}, {}, r"\[0\] is \(24,\), not \(B, D\)"),
        ("CosFace", OWN_MODEL | {"head": "fc"}, {}, "model.head: with loss.target the classifier lives in the loss"),
    ],
)
def test_what_cannot_be_used_is_told(name, model, loss, said):
    with pytest.raises((UsageError, ValueError), match=said):
        training_of(name, model, **loss)


def test_the_ce_that_is_judged_is_the_one_without_margin(here):
    """At an lr of 0 only the margin differs between the runs, and what is read from the graph is the same."""
    (here / "c.yaml").write_text("")
    curves = []
    for number, (name, margin) in enumerate([("CosFace", 0.35), ("CosFaceLoss", 0.35), ("CosFaceLoss", 0.0)]):
        sets = [
            "device=cpu", *(f"data.{key}={value}" for key, value in DATA.items()), "rule.window=[10,20]",
            "model.target=their_losses:Backbone", f"loss.target=their_losses:{name}", f"loss.kwargs.m={margin}",
            "optimizer.lr=0", "optimizer.groups=[]", "data.augment=[]",
        ]  # fmt: skip
        done = CliRunner().invoke(
            app, ["run", "c.yaml", *(word for each in sets for word in ("--set", each)), "--out", f"{number}"]
        )
        assert done.exit_code == 1, done.output
        report = json.loads((here / f"{number}" / "report.json").read_text())
        curves.append([ce for _, ce in report["ce"]["curve"]])
    assert curves[0] == pytest.approx(curves[2], abs=1e-4)
    assert curves[1] == pytest.approx(curves[2], abs=1e-4)


def test_inspect_shows_whose_the_head_is(here):
    (here / "c.yaml").write_text("loss: {target: 'their_losses:CosFace'}\nmodel: {target: 'their_losses:Backbone'}\n")
    sets = [word for key, value in DATA.items() for word in ("--set", f"data.{key}={value}")]
    done = CliRunner().invoke(app, ["inspect", "c.yaml", *sets])
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "loss their_losses:CosFace, called with (features, labels) head CosFace.weight (6, 24)" in said
    assert "feature the output itself, 24 wide, which the loss is given" in said
