"""Each trial of a config changes what its name says and nothing else, and the lines it prints make the change."""

from __future__ import annotations

from pathlib import Path

import pytest

from reid_smoke.config.differing import differing_settings
from reid_smoke.config.load import load_config
from reid_smoke.config.schema import Config
from reid_smoke.triage.changes import CHANGES

# Everything is unlike the recipe, so that each trial has something to change.
SICK = [
    "data.source=market1501", "data.root=elsewhere", "data.augment=[erase]", "data.mean=[0,0,0]",
    "data.std=[0.1,0.1,0.1]", "data.sampler=pk", "model.backbone=resnet34", "model.freeze=[^bn_neck]",
    "model.feat_norm=null", "model.num_classes=7", "model.weights=old.pth", "loss.label_smoothing=0.3",
    "optimizer.name=sgd", "optimizer.lr=null", "optimizer.weight_decay=50", "optimizer.eps=1e-2",
    'optimizer.groups=[{match: "^backbone", lr: 1e-7, weight_decay: 9}]', "schedule.name=warmup", "schedule.warmup=500",
    "train.amp=bf16", "train.accumulate=1000", "train.clip.norm=1e-12",
]  # fmt: skip

TOUCHES = {
    "the recipe's lr": {"optimizer.name", "optimizer.lr", "optimizer.groups", "schedule.name", "schedule.warmup"},
    "every parameter in the optimizer": {"optimizer.lr"},
    "a constant lr": {"schedule.name", "schedule.warmup"},
    "no accumulation": {"train.accumulate"},
    "no clipping": {"train.clip"},
    "no AMP": {"train.amp"},
    "the recipe's weight decay": {"optimizer.weight_decay", "optimizer.groups"},
    "everything unfrozen": {"model.freeze"},
    "CE alone": {"loss.sdm_weight"},
    "no label smoothing": {"loss.label_smoothing"},
    "the classifier fed by the BN feature at a norm of 8": {"model.feat_norm"},
    "as many classes as identities": {"model.num_classes"},
    "the usual mean and std": {"data.mean", "data.std"},
    "no augmentation": {"data.augment"},
    "the usual eps": {"optimizer.eps"},
    "random batches": {"data.sampler"},
    "weights from scratch": {"model.weights"},
    "the reference optimizer": {
        "optimizer.name", "optimizer.lr", "optimizer.weight_decay", "optimizer.eps", "optimizer.groups",
        "schedule.name", "schedule.warmup", "train.amp", "train.accumulate", "train.clip",
    },
    "the reference model": {
        "model.backbone", "model.feat_norm", "model.num_classes", "model.weights", "model.freeze",
    },
    "the embedded data": {
        "data.source", "data.root", "data.identities", "data.mean", "data.std", "model.num_classes",
    },
}  # fmt: skip


def recipe(folder: Path, *overrides: str) -> Config:
    (folder / "empty.yaml").write_text("")
    return load_config(folder / "empty.yaml", list(overrides))


def test_every_trial_is_listed_here() -> None:
    assert {change.name for change in CHANGES} == set(TOUCHES)


@pytest.mark.parametrize("trial", CHANGES, ids=lambda trial: trial.name)
def test_a_trial_changes_what_it_says_and_its_lines_make_it(trial: object, tmp_path: Path) -> None:
    change = next(c for c in CHANGES if c is trial)
    # SDM forbids random batches, and is what "CE alone" takes away.
    sick = [*SICK, "loss.sdm_weight=0.5"] if change.name == "CE alone" else SICK
    before = recipe(tmp_path, *sick)
    after = change.change(before)
    assert after is not None
    lines = differing_settings(before, after)
    assert {line.partition("=")[0] for line in lines} == TOUCHES[change.name]
    assert recipe(tmp_path, *sick, *lines) == after


@pytest.mark.parametrize("trial", [c for c in CHANGES if c.swap is None], ids=lambda trial: trial.name)
def test_the_recipe_is_left_as_it_is(trial: object, tmp_path: Path) -> None:
    change = next(c for c in CHANGES if c is trial)
    config = recipe(tmp_path, "data.augment=[]")
    assert change.change(config) in (None, config)
