"""Models of a user's own, by import path, through the command line."""

import json

import pytest
import torch

from reid_smoke.build.data.loader import build_loader
from reid_smoke.build.data.training_set import open_training_set
from reid_smoke.build.outputs import select, tensors_in
from reid_smoke.build.own_model import make_model
from reid_smoke.build.training import build_training
from reid_smoke.build.understanding import understand
from reid_smoke.config.schema import Config, ModelConfig
from reid_smoke.errors import ModelError
from reid_smoke.train.loop import train

CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.base = nn.Sequential(nn.Conv2d(3, 8, 5, 4), nn.ReLU(), nn.AdaptiveAvgPool2d((4, 2)), nn.Flatten())
        self.bottleneck = nn.BatchNorm1d(64)
        self.id_head = nn.Linear(64, num_classes, bias=False)

    def forward(self, images):
        feature = self.base(images)
        neck = self.bottleneck(feature)
        return ([self.id_head(neck)], {"global": feature, "bn": neck}) if self.training else neck

class Labelled(Net):
    def forward(self, images, labels):
        return super().forward(images)

class Losses(Net):
    def forward(self, batch):
        logits = super().forward(batch["images"])[0][0]
        return {"id_loss": nn.functional.cross_entropy(logits, batch["pids"]), "temperature": torch.tensor(1.0)}

class Between(Net):  # what lies between the neck and the head
    def __init__(self, num_classes, between):
        super().__init__(num_classes)
        self.between = nn.ReLU(inplace=True) if between == "relu" else nn.Dropout(0.5)

    def forward(self, images):
        return self.id_head(self.between(self.bottleneck(self.base(images))))

class Captioned(Losses):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.seen = []

    def forward(self, batch):
        self.seen.append((batch["camids"].shape, batch["caption_ids"].shape, batch["caption_ids"].max().item()))
        return super().forward(batch)

class Narrow(Net):
    def __init__(self):
        super().__init__(3)

class Wide(Net):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.base[2] = nn.AdaptiveAvgPool2d((16, 8))
        self.bottleneck = nn.BatchNorm1d(1024)
        self.id_head = nn.Linear(1024, num_classes, bias=False)

def raising(num_classes):
    raise ValueError("the weights are at home")

def three():
    return 3
"""


@pytest.fixture
def code(tmp_path):
    (tmp_path / "their_reid_net.py").write_text(CODE)
    return tmp_path


def found(code, name, **keys):
    config = ModelConfig(target=f"their_reid_net:{name}", cwd=code, **keys)
    model = make_model(config, 16)
    return model, *understand(model, config, 16, height=32, width=16)


def test_what_is_unambiguous_need_not_be_said(code):
    model, forward, understood = found(code, "Net")
    assert (understood.logits, understood.feature) == ("[0][0]", "[1]['bn']")
    assert (understood.head, understood.fed_by, understood.neck) == ("id_head.weight", "bottleneck", "bottleneck")
    assert understood.guessed == ("logits", "head", "bn_feature")
    assert model.bottleneck.num_batches_tracked == 0  # the trial left nothing behind
    images = torch.randn(4, 3, 32, 16)
    output = forward(images, torch.zeros(4, dtype=torch.int64), torch.zeros(4))
    torch.testing.assert_close(output.logits, output.bn_feature @ model.id_head.weight.T)


def test_a_dict_of_losses_is_added_up(code):
    _, forward, understood = found(code, "Losses", call="batch")
    assert (understood.logits, understood.head) == (None, "id_head.weight")
    assert forward(torch.randn(4, 3, 32, 16), torch.tensor([0, 1, 2, 3]), torch.zeros(4)).shape == ()


@pytest.mark.parametrize(
    ("between", "fed_by", "neck"), [("relu", "between", None), ("dropout", "bottleneck", "bottleneck")]
)
def test_what_feeds_the_head_is_seen_through_a_dropout_and_not_through_an_activation(code, between, fed_by, neck):
    *_, understood = found(code, "Between", kwargs={"between": between})
    assert (understood.head, understood.fed_by, understood.neck) == ("id_head.weight", fed_by, neck)


def test_a_batch_of_a_set_with_captions_holds_cameras_and_captions(code):
    config = Config.model_validate(
        {
            "device": "cpu",
            "data": {
                "source": "captioned_pedestrians", "identities": 6, "height": 32, "width": 16, "batch_size": 12,
            },
            "model": {"target": "their_reid_net:Captioned", "cwd": str(code), "call": "batch"},
        }
    )  # fmt: skip
    training_set = open_training_set(config.data)
    loader = build_loader(training_set, config.data, seed=0, on_unreadable=lambda fact: None)
    training = build_training(config, training_set, loader, torch.device("cpu"))
    train(training, max_steps=2, stop=lambda step: False)
    tried, *trained = training.model.seen
    assert (tried[0], tried[1][0]) == ((4,), 4)
    assert [(cameras, captions[0]) for cameras, captions, _ in trained] == [((12,), 12)] * 2
    assert 2 < max(most for *_, most in trained) < len(training_set.vocabulary)


@pytest.mark.parametrize(
    ("name", "keys", "said"),
    [
        ("Narrow", {}, r"no output .* wide as there are identities, 16.*\[0\]\[0\] \(4, 3\)"),
        ("Narrow", {"logits": "[0][0]"}, r"\(4, 3\) .*16 identities"),
        ("Labelled", {}, r"called with \(images\).*takes \(images, labels\)"),
        ("raising", {}, "ValueError: the weights are at home"),
        ("three", {}, "gave a int, not a torch.nn.Module"),
        ("Nett", {}, "Nearest: Net"),
        ("Net", {"logits": "[7]"}, r"no \[7\]"),
        ("Net", {"head": "id_haed"}, "Nearest: id_head.weight"),
        ("Net", {"kwargs": {"depth": 3}}, r"takes \(num_classes\)"),
    ],
)
def test_what_cannot_be_used_is_told(code, name, keys, said):
    with pytest.raises(ModelError, match=said):
        found(code, name, **keys)


def test_selectors_find_what_they_were_made_for():
    output = {"a": [torch.zeros(1), (torch.ones(2),)], "b": torch.zeros(3)}
    places = dict(tensors_in(output))
    assert list(places) == ["['a'][0]", "['a'][1][0]", "['b']"]
    assert all(select(output, at) is tensor for at, tensor in places.items())


def test_a_run_by_import_path_is_go_and_inspect_prints_its_block(code, reid_smoke):
    (code / "c.yaml").write_text(
        "data: {height: 32, width: 16, batch_size: 16, identities: 32, augment: []}\n"
        "model: {target: 'their_reid_net:Net'}\n"
    )
    done = reid_smoke("run", "c.yaml", "--out", "run")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((code / "run" / "report.json").read_text())
    assert (report["verdict"], report["findings"]) == ("GO", [])
    shown = reid_smoke("inspect", "their_reid_net:Net")
    assert shown.returncode == 0, shown.stderr
    assert "  logits: '[0][0]'\n  head: ^id_head\\.weight$\n" in shown.stdout
    assert "lr: 0.01" not in shown.stdout  # its feature has the norm that the recipe's lr is for
    wide = reid_smoke("inspect", "their_reid_net:Wide")
    # The BN feature of 1024 channels has a norm of 32, four times the recipe's.
    assert wide.stdout.endswith("optimizer:\n  groups:\n  - match: ^id_head\\.\n    lr: 0.002\n")
    refused = reid_smoke("run", "c.yaml", "--set", "model.target=their_reid_net:raising", "--out", "other")
    assert refused.returncode == 2
    assert 'raise ValueError("the weights are at home")' in refused.stderr
    assert "importlib" not in refused.stderr
    assert not (code / "other").exists()
