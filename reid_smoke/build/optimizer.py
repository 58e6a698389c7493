"""The optimizer and its groups, and which parameters are frozen."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

from reid_smoke.config.schema import HEAD_PATTERN, OptimizerConfig
from reid_smoke.errors import ModelError, nearest
from reid_smoke.facts import FreezeFacts

REST = "rest"


def freeze(model: nn.Module, patterns: list[str]) -> list[FreezeFacts]:
    """Take requires_grad from every parameter whose name a pattern finds (`re.search`); what each pattern found.

    A pattern that finds nothing is a fact with an empty `matched`, and no error: it is the fault of a renamed module,
    which a check shall name. The patterns are regular expressions that compile: the config has seen to that.
    """
    facts = []
    for pattern in patterns:
        matched = {name: parameter for name, parameter in model.named_parameters() if re.search(pattern, name)}
        for parameter in matched.values():
            parameter.requires_grad_(False)
        facts.append(FreezeFacts(pattern=pattern, matched=tuple(matched)))
    return facts


def with_head(config: OptimizerConfig, head: str | None) -> OptimizerConfig:
    """The recipe for a model whose head goes by another name: the group of the built-in head is that head's.

    head: the name of its weight, whose module's other parameters belong to it; or a module's with a dot behind it.
    Where no head is known, that group is left out: nothing could be in it.
    """
    groups = []
    for group in config.groups:
        if group.match != HEAD_PATTERN:
            groups.append(group)
        elif head is not None:
            module = re.escape(head.rpartition(".")[0] + ".") if "." in head else re.escape(head)
            groups.append(group.model_copy(update={"match": f"^{module}"}))
    return config.model_copy(update={"groups": groups})


def build_optimizer(
    config: OptimizerConfig,
    model: nn.Module,
    criterion: nn.Module | None = None,
    *,
    fused: bool = True,
    capturable: bool = False,
) -> torch.optim.Optimizer:
    """The optimizer over the model's trainable parameters, one group per `config.groups` and one for the rest.

    `criterion`: a loss with parameters of its own; their names begin with its class, `ArcFace.weight`.

    The first group whose pattern finds a parameter's name takes it. `lr: null` leaves the rest out. Each group's dict
    has a `name`: its pattern, or `rest`. A group whose parameters are all frozen is left out: that is a plan, no slip.

    `fused`: one kernel for all parameters. On two CPU cores a step of AdamW over ResNet-18 then takes 9 ms instead of
    35 (one by one) or 45 (foreach). Not together with a GradScaler: the fused step is called even when gradients
    overflowed and leaves the parameters alone by itself, so that nobody outside can tell a skipped step from a step.

    `capturable`: its step can be part of a CUDA graph; the parameters are on a GPU then.

    Raises ModelError for a pattern that finds nothing (with near names), or whose parameters an earlier group has all
    taken, and where nothing is left to train.
    """
    left = dict(model.named_parameters())
    if criterion is not None:
        known = {id(parameter) for parameter in left.values()}
        own = criterion.named_parameters(type(criterion).__name__)
        left |= {name: parameter for name, parameter in own if id(parameter) not in known}
    names = list(left)
    groups: list[dict[str, Any]] = []
    for index, group in enumerate(config.groups):
        taken = [name for name in left if re.search(group.match, name)]
        if not taken:
            raise ModelError(_found_nothing(f"optimizer.groups[{index}].match", group.match, model, names))
        parameters = [left.pop(name) for name in taken]
        decay = config.weight_decay if group.weight_decay is None else group.weight_decay
        groups.append({"params": parameters, "lr": group.lr, "weight_decay": decay, "name": group.match})
    if config.lr is not None:
        rest = list(left.values())
        groups.append({"params": rest, "lr": config.lr, "weight_decay": config.weight_decay, "name": REST})
    for made in groups:
        made["params"] = [parameter for parameter in made["params"] if parameter.requires_grad]
    groups = [made for made in groups if made["params"]]
    if not groups:
        raise ModelError(
            "nothing is left to train: every parameter is frozen by model.freeze or left out by optimizer.lr: null"
        )
    # Each group has its own lr and weight decay; those of the optimizer itself are only asked for by the signature.
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=config.momentum, fused=fused)
    adam = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return adam(groups, lr=0.0, eps=config.eps, fused=fused, capturable=capturable)


def _found_nothing(place: str, pattern: str, model: nn.Module, names: list[str]) -> str:
    taken = [name for name in names if re.search(pattern, name)]
    if taken:
        return f"{place}: {pattern!r} finds {taken[0]} and {len(taken) - 1} more, which an earlier group has all taken"
    literal = re.sub(r"\\(.)|[\^$*+?()|\[\]{}]", r"\1", pattern)
    modules = [name for name, _ in model.named_modules() if name]
    near = nearest(literal, modules + names) or names[-3:]  # the head is registered last
    return f"{place}: {pattern!r} is found in none of the model's {len(names)} parameters. Nearest: {', '.join(near)}"
