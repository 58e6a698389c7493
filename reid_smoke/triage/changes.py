"""The trials of a config: each is a change of the config, so that what flips is written down as it would be mended.

In the order in which they are tried where nothing that the baseline found speaks for another: the likeliest and the
smallest first, the swaps last.
"""

from __future__ import annotations

from typing import Any

from reid_smoke.config.schema import (
    EMBEDDED,
    Config,
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
)
from reid_smoke.triage.trial import Trial

REFERENCE_BACKBONE = "resnet18"  # the smallest that learns from scratch within some tens of steps
EMBEDDED_IDENTITIES = 100  # enough to be told apart, few enough to be looked at often in a short trial

_RECIPE = OptimizerConfig()
_OUR_LOSS = {key: getattr(LossConfig(), key) for key in ("target", "kwargs", "cwd", "call")}


def _put(config: Config, section: str, **values: Any) -> Config:
    return config.model_copy(update={section: getattr(config, section).model_copy(update=values)})


def _recipes_lr(config: Config) -> Config:
    # Of the lr as applied: under a schedule the recipe's would be another one at each step.
    changed = _put(config, "optimizer", name=_RECIPE.name, lr=_RECIPE.lr, groups=_RECIPE.groups)
    return _constant_lr(changed)


def _constant_lr(config: Config) -> Config:
    return _put(config, "schedule", name="constant", warmup=0)


def _every_parameter(config: Config) -> Config | None:
    if config.optimizer.lr is not None or not config.optimizer.groups:
        return None
    return _put(config, "optimizer", lr=max(group.lr for group in config.optimizer.groups))


def _recipes_decay(config: Config) -> Config:
    groups = [group.model_copy(update={"weight_decay": None}) for group in config.optimizer.groups]
    return _put(config, "optimizer", weight_decay=_RECIPE.weight_decay, groups=groups)


def _usual_colours(config: Config) -> Config:
    usual = DataConfig()
    return _put(config, "data", mean=usual.mean, std=usual.std)


def _reference_optimizer(config: Config) -> Config:
    plain = config.train.model_copy(update={"accumulate": 1, "clip": None, "amp": TrainConfig().amp})
    return config.model_copy(update={"optimizer": _RECIPE, "schedule": ScheduleConfig(), "train": plain})


def _ce_alone(config: Config) -> Config:
    # A classifier that lives in the loss cannot be left out of it: the reference model has one again.
    own = {} if config.loss.holds_head else _OUR_LOSS
    return _put(config, "loss", sdm_weight=LossConfig().sdm_weight, **own)


def _reference_model(config: Config) -> Config:
    if config.loss.holds_head:
        config = _put(config, "loss", **_OUR_LOSS)
    return config.model_copy(update={"model": ModelConfig(backbone=REFERENCE_BACKBONE, text=config.model.text)})


def _embedded_data(config: Config) -> Config | None:
    if config.data.source in EMBEDDED:
        return None
    usual = DataConfig()
    identities = min(EMBEDDED_IDENTITIES, config.data.identities or EMBEDDED_IDENTITIES)
    source = usual.source if config.model.text is None else "captioned_pedestrians"
    swapped = {"source": source, "root": None, "identities": identities, "mean": usual.mean, "std": usual.std}
    # A head for their identities would not be one for these.
    return _put(_put(config, "data", **swapped), "model", num_classes=None)


CHANGES: tuple[Trial[Config], ...] = (
    Trial(
        "the recipe's lr",
        _recipes_lr,
        mends=("RS302", "RS401", "RS402", "RS403", "RS311", "RS408", "RS412", "RS203", "RS204", "RS201"),
        slug="recipe-lr",
    ),
    Trial(
        "every parameter in the optimizer", _every_parameter, mends=("RS302", "RS404", "RS405"), slug="all-in-optimizer"
    ),
    Trial(
        "a constant lr",
        _constant_lr,
        mends=("RS401", "RS402", "RS408", "RS412", "RS417", "RS203"),
        slug="constant-lr",
    ),
    Trial(
        "no accumulation", lambda c: _put(c, "train", accumulate=1), mends=("RS307", "RS313"), slug="no-accumulation"
    ),
    Trial("no clipping", lambda c: _put(c, "train", clip=None), mends=("RS309",), slug="no-clipping"),
    Trial("no AMP", lambda c: _put(c, "train", amp="off"), mends=("RS308", "RS410", "RS201"), slug="no-amp"),
    Trial("the recipe's weight decay", _recipes_decay, mends=("RS409",), slug="usual-decay"),
    Trial(
        "everything unfrozen",
        lambda c: _put(c, "model", freeze=[]),
        mends=("RS303", "RS505", "RS509", "RS511", "RS305"),
        slug="all-unfrozen",
    ),
    Trial(
        "CE alone",
        _ce_alone,
        mends=("RS210", "RS201"),
        slug="ce-alone",
    ),
    Trial("no label smoothing", lambda c: _put(c, "loss", label_smoothing=0.0), mends=("RS210",), slug="no-smoothing"),
    Trial(
        "the classifier fed by the BN feature at a norm of 8",
        lambda c: _put(c, "model", feat_norm=ModelConfig().feat_norm),
        mends=("RS502", "RS501", "RS207", "RS204"),
        slug="bn-feature-of-norm-8",
    ),
    Trial(
        "as many classes as identities",
        lambda c: _put(c, "model", num_classes=None),
        mends=("RS101", "RS105", "RS107"),
        slug="classes-as-identities",
    ),
    Trial(
        "the usual mean and std", _usual_colours, mends=("RS112", "RS113", "RS111", "RS201"), slug="usual-mean-and-std"
    ),
    Trial("no augmentation", lambda c: _put(c, "data", augment=[]), mends=("RS111",), slug="no-augmentation"),
    Trial("the usual eps", lambda c: _put(c, "optimizer", eps=_RECIPE.eps), mends=("RS410",), slug="usual-eps"),
    Trial(
        "random batches",
        lambda c: None if c.loss.sdm_weight and c.model.text is None else _put(c, "data", sampler="random"),
        mends=("RS102", "RS117"),
        slug="random-batches",
    ),
    Trial("weights from scratch", lambda c: _put(c, "model", weights=None), mends=("RS504",), slug="from-scratch"),
    Trial(
        "the reference optimizer",
        _reference_optimizer,
        swap="optimizer",
        slug="reference-optimizer",
    ),
    Trial("the reference model", _reference_model, swap="model", slug="reference-model"),
    Trial("the embedded data", _embedded_data, swap="data", slug="embedded-data"),
)
