"""`reid-smoke inspect`, the model's part: what was found in a model, and the `model:` block that says so."""

from __future__ import annotations

from collections import Counter

import yaml
from torch import nn

from reid_smoke.build.image_text import build_image_text_model
from reid_smoke.build.model import build_model
from reid_smoke.build.optimizer import build_optimizer, with_head
from reid_smoke.build.own_model import Understood, make_model
from reid_smoke.build.training import BUILT_IN_HEAD
from reid_smoke.build.understanding import understand
from reid_smoke.config.schema import Config, ModelConfig, TextConfig

Lines = list[tuple[str, str | None]]
PARTS = 8  # shown at most


def inspect_model(config: Config, num_classes: int, vocabulary: int = 0) -> tuple[Lines, str | None]:
    """What there is to say of the config's model as labelled lines, and the block to paste: None for a built-in model.

    vocabulary: numbers that a caption's words may be, of a config with model.text. Raises ModelError as a run would.
    """
    size = {"height": config.data.height, "width": config.data.width}
    text = config.model.text
    if config.model.target is None:
        model: nn.Module
        if text is not None:
            model = build_image_text_model(config.model, text, num_classes, vocabulary, **size)
        else:
            model = build_model(config.model, num_classes, **size)
        understood = Understood(
            logits="", feature="", head=BUILT_IN_HEAD, fed_by="bn_neck.bn, scaled", neck="bn_neck.bn"
        )
        block = None
    else:
        model = make_model(config.model, num_classes)
        _, understood = understand(model, config.model, num_classes, **size)
        block = _block(config.model, understood)
    named = dict(model.named_parameters())
    total = sum(parameter.numel() for parameter in named.values())
    trainable = sum(parameter.numel() for parameter in named.values() if parameter.requires_grad)
    parts: Counter[str] = Counter()
    for name, parameter in named.items():
        parts[name.split(".")[0]] += parameter.numel()
    width = f" {tuple(named[understood.head].shape)}" if understood.head else ""
    optimizer = build_optimizer(
        config.optimizer if block is None else with_head(config.optimizer, understood.head), model, fused=False
    )
    groups = [
        f"{group['name']}: lr {group['lr']:g}, weight decay {group['weight_decay']:g}, {len(group['params'])} tensors"
        for group in optimizer.param_groups
    ]
    rest = f", and {len(parts) - PARTS} more" if len(parts) > PARTS else ""
    lines: Lines = [
        ("model", config.model.target or config.model.backbone),
        ("text", _text(text, vocabulary) if text is not None else None),
        ("head", f"{understood.head}{width}" if understood.head else "not found: name it as model.head"),
        ("fed by", understood.fed_by or "not seen: the classifier is no module of its own"),
        ("neck", understood.neck or "none: nothing normalises the feature right before the classifier"),
        ("logits", _place(understood.logits, config.model)),
        ("found", f"{', '.join(understood.guessed)}: not given, but found" if understood.guessed else None),
        ("weights", f"{total:,} parameters, {trainable:,} of them trainable"),
        ("parts", ", ".join(f"{part} {count:,}" for part, count in parts.most_common(PARTS)) + rest),
        *(("groups" if number == 0 else "", line) for number, line in enumerate(groups)),
    ]
    return lines, block


def _text(text: TextConfig, vocabulary: int) -> str:
    return (
        f"a transformer {text.width} wide over {vocabulary:,} words; scaled behind text_bn, it feeds the same head. "
        "The rule judges the image's CE"
    )


def _place(selector: str | None, model: ModelConfig) -> str | None:
    if model.target is None:
        return None
    if selector is None:
        return "none are given out: the model returns its losses, which are added up"
    return f"{selector} of the output" if selector else "the output itself"


def _block(model: ModelConfig, understood: Understood) -> str:
    """The `model:` section with everything that was found, as YAML."""
    said = model.model_dump(mode="json", exclude_defaults=True, exclude={"backbone", "last_stride", "feat_norm"})
    found = {"logits": understood.logits, "head": understood.head, "bn_feature": understood.feature}
    if found["head"] is not None and model.head is None:
        found["head"] = "^" + found["head"].replace(".", r"\.") + "$"
    said.update({key: value for key, value in found.items() if value is not None and key not in said})
    return yaml.safe_dump({"model": said}, sort_keys=False, allow_unicode=True, width=100).rstrip()
