"""RS4: mistakes in the optimizer and the schedule."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from fault_bench.faults.register import fault
from fault_bench.parts import HandWritten, Parts
from reid_smoke.build.optimizer import build_optimizer

HEAD = r"^bn_neck\.classifier"


@fault("head-lr-too-small", at="plan", mended_by=("recipe-lr", "reference-optimizer"))
def one_small_learning_rate(parts: Parts) -> None:
    """One learning rate for all, meant for a pretrained backbone."""
    parts.plan["optimizer"].update(lr=1e-5, groups=[])


@fault("head-lr-too-small", at="plan", mended_by=("constant-lr", "recipe-lr", "reference-optimizer"))
def warm_up_per_epoch(parts: Parts) -> None:
    """A warm-up that is stepped once an epoch and spends the first one at a thousandth."""
    parts.plan["schedule"] = {"name": "warmup", "per": "epoch", "warmup": 1000, "warmup_factor": 0.001}


@fault("schedule-stepped-too-seldom", at="built", mended_by=("constant-lr", "recipe-lr", "reference-optimizer"))
def warm_up_of_500_steps_per_epoch(parts: Parts) -> None:
    """torch's LinearLR over 500 steps, stepped once an epoch."""
    parts.plan["schedule"] = {"per": "epoch"}
    parts.config = type(parts.config).model_validate(parts.plan)
    parts.scheduler = torch.optim.lr_scheduler.LinearLR(parts.optimizer, 0.01, total_iters=500)


@fault("schedule-stepped-too-seldom", at="built", mended_by=("constant-lr", "recipe-lr", "reference-optimizer"))
def schedule_never_stepped(parts: Parts) -> None:
    """A warm-up over ten epochs, and nobody steps it."""
    parts.folder_holds = torch.optim.lr_scheduler.LinearLR(  # type: ignore[attr-defined]
        parts.optimizer, 0.01, total_iters=10
    )
    parts.scheduler = None


@fault(
    "warm-up-outlasts-window",
    at="plan",
    not_on=("cosine",),  # which learns with a few hundredths of its lr
    mended_by=("constant-lr", "recipe-lr", "reference-optimizer"),
)
def warm_up_of_thousand_steps(parts: Parts) -> None:
    """Nothing is wrong but the window: a warm-up per step that is far from over when CE is judged."""
    parts.plan["schedule"] = {"name": "warmup", "per": "step", "warmup": 1000, "warmup_factor": 0.0001}


@fault(
    "warm-up-outlasts-window",
    at="built",
    not_on=("cosine",),
    mended_by=("constant-lr", "recipe-lr", "reference-optimizer"),
)
def warm_up_by_hand(parts: Parts) -> None:
    """The same, written into the loop: no schedule tells how far the learning rate is to rise."""
    parts.scheduler = None
    wanted, begun = [group["lr"] for group in parts.optimizer.param_groups], [0]

    def around(step: Any) -> Any:
        begun[0] += 1
        for group, lr in zip(parts.optimizer.param_groups, wanted, strict=True):
            group["lr"] = lr * min(1.0, begun[0] / 1000)
        return step()

    parts.step_with(around)


@fault("head-lr-zero", at="plan", structural=True, mended_by=("recipe-lr", "reference-optimizer"))
def groups_learning_rate_of_zero(parts: Parts) -> None:
    """The head's group has a learning rate of 0."""
    parts.plan["optimizer"]["groups"] = [{"match": HEAD, "lr": 0.0}]


@fault("head-lr-zero", at="built", structural=True, mended_by=("constant-lr", "recipe-lr", "reference-optimizer"))
def warm_up_from_zero_per_epoch(parts: Parts) -> None:
    """`lambda epoch: epoch / 10`, stepped once an epoch."""
    parts.plan["schedule"] = {"per": "epoch"}
    parts.config = type(parts.config).model_validate(parts.plan)
    parts.scheduler = torch.optim.lr_scheduler.LambdaLR(parts.optimizer, lambda epoch: epoch / 10)


@fault("lr-too-large", at="plan", mended_by=("recipe-lr", "reference-optimizer"))
def learning_rate_without_its_minus_sign(parts: Parts) -> None:
    """The exponent lost its minus: everything learns at 10."""
    parts.plan["optimizer"].update(lr=10.0, groups=[])


@fault(
    "optimizer-holds-stale-parameters",
    at="built",
    structural=True,
    mended_by=("optimizer-rebuilt", "all-unfrozen", "reference-optimizer"),
)
def head_replaced_afterwards(parts: Parts) -> None:
    """The head is replaced for the new data set, after the optimizer was built."""
    parts.head = copy.deepcopy(parts.head)


@fault(
    "optimizer-holds-a-copy",
    at="built",
    structural=True,
    mended_by=("optimizer-rebuilt", "all-unfrozen", "reference-optimizer"),
)
def copied_afterwards(parts: Parts) -> None:
    """The model is deep-copied after the optimizer was built, and the copy is trained."""
    parts.folder_holds = parts.model  # type: ignore[attr-defined]  # the original stays alive, as in a user's script
    parts.model = copy.deepcopy(parts.model)


@fault("head-in-two-optimizers", at="built", structural=True, mended_by=("optimizer-rebuilt", "reference-optimizer"))
def second_optimizer_holds_all(parts: Parts) -> None:
    """A second optimizer, for another loss, is handed the head as well."""
    second = torch.optim.SGD(parts.head_parameters(), lr=0.05)

    def around(step: Any) -> Any:
        second.step()
        return step()

    parts.step_with(around)


@fault("parameter-held-twice", at="built", structural=True, mended_by=("optimizer-rebuilt", "reference-optimizer"))
def backbone_in_a_second_optimizer(parts: Parts) -> None:
    """A second optimizer, for another loss, is handed the backbone as well."""
    second = torch.optim.SGD(parts.other_parameters(), lr=0.05)

    def around(step: Any) -> Any:
        step()
        return second.step()

    parts.step_with(around)


@fault("parameter-held-twice", at="built", structural=True, mended_by=("optimizer-rebuilt", "reference-optimizer"))
def head_added_to_a_list_that_has_it(parts: Parts) -> None:
    """`[*model.parameters(), *head.parameters()]`: torch warns, and steps the head twice."""
    parts.optimizer = torch.optim.AdamW([*parts.model.parameters(), *parts.head_parameters()], lr=1e-3)


@fault("optimizer-steps-twice", at="built", structural=True, mended_by=("plain-loop",))
def stepped_in_helper_and_loop(parts: Parts) -> None:
    """`step()` in a helper, and once more in the loop."""

    def around(step: Any) -> Any:
        step()
        return step()

    parts.step_with(around)


@fault("lr-decays-to-nothing", at="plan", mended_by=("constant-lr", "recipe-lr", "reference-optimizer"))
def epochs_milestones_per_step(parts: Parts) -> None:
    """A schedule written in epochs is stepped once a batch."""
    parts.plan["schedule"] = {"name": "multistep", "per": "step", "milestones": [3, 6, 9], "gamma": 0.1}


@fault(
    "resume-overwrites-lr",
    at="built",
    not_on=("cosine",),  # whose schedule sets it right again at each step
    mended_by=("constant-lr", "recipe-lr", "reference-optimizer"),
)
def older_runs_learning_rate(parts: Parts) -> None:
    """The optimizer's state of a run whose milestones are all over is loaded for a new one."""
    older = build_optimizer(parts.config.optimizer, parts.model, fused=False)
    schedule = torch.optim.lr_scheduler.MultiStepLR(older, [1, 2, 3])
    for _ in range(3):
        older.step()
        schedule.step()
    parts.begin_with(lambda: parts.optimizer.load_state_dict(older.state_dict()))


@fault("weight-decay-eats-head", at="plan", mended_by=("usual-decay", "reference-optimizer"))
def decay_of_a_hundred(parts: Parts) -> None:
    """Weight decay takes most of the head away in each step."""
    optimizer = parts.plan["optimizer"]
    lr = optimizer["groups"][0]["lr"] if optimizer["groups"] else optimizer["lr"]
    optimizer["groups"] = [{"match": HEAD, "lr": lr, "weight_decay": 0.5 / lr}]


@fault("step-changes-nothing", at="built", structural=True, mended_by=("reference-optimizer",))
def update_of_a_copy(parts: Parts) -> None:
    """An optimizer of one's own writes `p = p - lr * g`, which makes a new tensor and leaves the parameter as it is."""
    parts.optimizer = HandWritten(parts.optimizer, lambda p, lr: p - lr * p.grad)


@fault("eps-lost-in-fp16", at="model", structural=True, mended_by=("fresh-head", "reference-model"))
def half_precision_weights(parts: Parts) -> None:
    """The head's weights are fp16, and Adam's eps is 1e-8."""
    parts.plan["optimizer"].update(name="adam", lr=1e-3, groups=[], weight_decay=0.0)
    parts.config = type(parts.config).model_validate(parts.plan)
    parts.head.half()
    parts.head = _InHalf(parts.head)


class _InHalf(nn.Module):
    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, feature: Tensor) -> Tensor:
        logits: Tensor = self.head(feature.half()).float()
        return logits
