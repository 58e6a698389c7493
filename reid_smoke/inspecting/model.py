"""`reid-smoke inspect`, the model's part: what was found in a model, and the `model:` block that says so."""

from __future__ import annotations

from collections import Counter
from math import floor, log10

import yaml
from torch import nn

from reid_smoke.build.optimizer import build_optimizer
from reid_smoke.build.own_loss import OwnLoss
from reid_smoke.build.own_model import Understood
from reid_smoke.build.parts import Parts, build_parts
from reid_smoke.config.schema import Config, ModelConfig, OptimizerConfig, TextConfig

Lines = list[tuple[str, str | None]]
PARTS = 8  # shown at most


def inspect_model(config: Config, num_classes: int, vocabulary: int = 0) -> tuple[Lines, str | None]:
    """What there is to say of the config's model as labelled lines, and the block to paste: None for a built-in model.

    vocabulary: numbers that a caption's words may be, of a config with model.text. Raises ModelError as a run would.
    """
    parts = build_parts(config, num_classes, vocabulary)
    criterion = parts.loss.criterion if isinstance(parts.loss, OwnLoss) else None
    named = dict(parts.model.named_parameters())
    if criterion is not None:
        named |= dict(criterion.named_parameters(type(criterion).__name__))
    lr = _fitting_lr(config.optimizer, parts.understood)
    optimizer = build_optimizer(parts.recipe(config.optimizer), parts.model, criterion, fused=False)
    groups = [
        f"{group['name']}: lr {group['lr']:g}, weight decay {group['weight_decay']:g}, {len(group['params'])} tensors"
        for group in optimizer.param_groups
    ]
    total = sum(parameter.numel() for parameter in named.values())
    trainable = sum(parameter.numel() for parameter in named.values() if parameter.requires_grad)
    text = config.model.text
    lines: Lines = [
        ("model", config.model.target or config.model.backbone),
        ("text", _text(text, vocabulary) if text is not None else None),
        ("loss", f"{config.loss.target}, called with ({config.loss.call})" if criterion is not None else None),
        (
            "head",
            f"{parts.head} {tuple(named[parts.head].shape)}" if parts.head else "not found: name it as model.head",
        ),
        *(_understood(parts.understood) if parts.understood is not None else BUILT_IN),
        ("weights", f"{total:,} parameters, {trainable:,} of them trainable"),
        ("parts", _parts(named)),
        *(("groups" if number == 0 else "", line) for number, line in enumerate(groups)),
        ("", _why(lr, parts.understood) if lr is not None and parts.understood is not None else None),
    ]
    return lines, _block(config, parts, lr) if parts.understood is not None else None


BUILT_IN: Lines = [("fed by", "bn_neck.bn, scaled"), ("neck", "bn_neck.bn")]


def _understood(understood: Understood) -> Lines:
    found = ("found", f"{', '.join(understood.guessed)}: not given, but found" if understood.guessed else None)
    if understood.head_in_loss:
        return [
            ("feature", f"{_place(understood.feature)}, {understood.feature_width} wide, which the loss is given"),
            found,
        ]
    places = "none are given out: the model returns its losses, which are added up"
    return [
        ("fed by", understood.fed_by or "not seen: no module gives it out as it is"),
        ("neck", understood.neck or "none: nothing normalises the feature right before the classifier"),
        ("logits", places if understood.logits is None else _place(understood.logits)),
        found,
    ]


def _parts(named: dict[str, nn.Parameter]) -> str:
    sizes: Counter[str] = Counter()
    for name, parameter in named.items():
        sizes[name.split(".")[0]] += parameter.numel()
    rest = f", and {len(sizes) - PARTS} more" if len(sizes) > PARTS else ""
    return ", ".join(f"{part} {count:,}" for part, count in sizes.most_common(PARTS)) + rest


def _fitting_lr(optimizer: OptimizerConfig, understood: Understood | None) -> float | None:
    """The head's lr for a feature of this norm, in round numbers; None where the recipe's does.

    Adam moves every weight by about the lr, and so a logit by the lr times the feature's L1 norm, which grows with its
    L2 norm: what the recipe's lr is to a norm of 8, this one is to the feature's.
    """
    recipe, norm = OptimizerConfig(), ModelConfig().feat_norm
    if understood is None or understood.fed_norm is None or norm is None or understood.fed_norm < 1.5 * norm:
        return None
    if optimizer.groups != recipe.groups or optimizer.name == "sgd":  # what the user plans is not ours to choose
        return None
    most = recipe.groups[0].lr * norm / understood.fed_norm
    power = 10.0 ** floor(log10(most))
    return float(f"{max(digit for digit in (1, 2, 3, 5) if digit * power <= most * 1.001) * power:.0e}")


def _why(lr: float, understood: Understood) -> str:
    return (
        f"The head's 1e-2 is for features of a norm of about 8, and this one's is {understood.fed_norm:.0f}: "
        f"{lr:g} moves the logits as far. CE that climbs in the first steps is what too much looks like"
    )


def _text(text: TextConfig, vocabulary: int) -> str:
    return (
        f"a transformer {text.width} wide over {vocabulary:,} words; scaled behind text_bn, it feeds the same head. "
        "The rule judges the image's CE"
    )


def _place(selector: str | None) -> str:
    return f"{selector} of the output" if selector else "the output itself"


def _block(config: Config, parts: Parts, lr: float | None) -> str:
    """The `model:` section with everything that was found, and the head's lr where another one fits, as YAML."""
    model, understood = config.model, parts.understood
    assert understood is not None
    said = model.model_dump(mode="json", exclude_defaults=True, exclude={"backbone", "last_stride", "feat_norm"})
    found = {"logits": understood.logits, "head": understood.head, "bn_feature": understood.feature}
    if found["head"] is not None and model.head is None:
        found["head"] = "^" + found["head"].replace(".", r"\.") + "$"
    said.update({key: value for key, value in found.items() if value is not None and key not in said})
    block: dict[str, object] = {"model": said}
    if lr is not None:
        match = parts.recipe(config.optimizer).groups[0].match
        block["optimizer"] = {"groups": [{"match": match, "lr": lr}]}
    return yaml.safe_dump(block, sort_keys=False, allow_unicode=True, width=100).rstrip()
