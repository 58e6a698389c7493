"""The parameters: of which role, in which group, reached by the loss or not."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor
from torch.optim import Optimizer

from reid_smoke.facts import ParameterFacts, ParameterRecord
from reid_smoke.probes.groups import as_float
from reid_smoke.probes.live import Live
from reid_smoke.probes.roles import Roles


def parameter_facts(live: Live, leaves: set[int], head: Tensor | None, roles: Roles, step: int) -> ParameterFacts:
    """Of all models that are alive. leaves: ids of the parameters that the loss reaches."""
    groups: dict[int, tuple[int, dict[str, object]]] = {}
    index = 0
    for optimizer in live.optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                groups.setdefault(id(parameter), (index, group))
            index += 1
    held = set(groups)
    in_modules = set(live.names)

    def record(name: str, parameter: Tensor) -> ParameterRecord:
        number, group = groups.get(id(parameter), (None, {}))
        return ParameterRecord(
            name=name,
            shape=tuple(parameter.shape),
            role=roles.of(parameter),
            requires_grad=parameter.requires_grad,
            group=number,
            lr=as_float(group.get("lr")),
            lr_initial=as_float(group.get("initial_lr")),
            weight_decay=as_float(group.get("weight_decay")),
            reached=id(parameter) in leaves,
            dtype=str(parameter.dtype).removeprefix("torch."),
            eps=as_float(group.get("eps")),
            maximize=bool(group.get("maximize")),
        )

    records = [record(name, parameter) for name, parameter, _ in live.parameters]
    if head is not None and id(head) not in in_modules:
        records.append(record(live.name(head), head))
    orphans = [
        parameter
        for optimizer in live.optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
        if id(parameter) not in in_modules and id(parameter) not in leaves
    ]
    return ParameterFacts(
        step=step,
        optimizer=", ".join(type(o).__name__ for o in live.optimizers),
        parameters=tuple(records),
        orphans=len(orphans),
        orphan_shapes=tuple(tuple(p.shape) for p in orphans[:4]),
        optimizer_holds_head=None if not live.optimizers or head is None else id(head) in held,
    )


def left_out(live: Live, leaves: set[int], besides: frozenset[int]) -> tuple[str, ...]:
    """Trainable weights that the loss does not reach, of optimizers that hold some which it does.

    A number that stands alone, such as a temperature that another loss takes, is no part of a tower. An optimizer of
    which the loss reaches nothing is another training's: of a critic, say.
    """
    names = []
    for optimizer in live.optimizers:
        held = [p for group in optimizer.param_groups for p in group["params"]]
        if any(id(p) in leaves for p in held):
            left = (p for p in held if p.requires_grad and p.dim() >= 2 and id(p) not in leaves | besides)
            names += [live.name(p) for p in left]
    return tuple(names)


def stepped_in_vain(live: Live, leaves: set[int], stepped: Collection[Optimizer]) -> tuple[str, ...]:
    """Trainable weights of optimizers that step, and of which the loss reaches nothing.

    A single one is no model: centres, say. A learning rate of 0 is intent.
    """
    names = []
    for optimizer in live.optimizers:
        groups = optimizer.param_groups
        if optimizer not in stepped or any(id(p) in leaves for group in groups for p in group["params"]):
            continue
        moved = [p for group in groups if as_float(group.get("lr")) != 0 for p in group["params"]]
        idle = [live.name(p) for p in moved if p.requires_grad and p.dim() >= 2 and id(p) in live.names]
        names += idle if len(idle) > 1 else []
    return tuple(names)
