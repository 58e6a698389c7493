"""Every step, and counts over all of them."""

from __future__ import annotations

from typing import Literal

from reid_smoke.facts.base import Fact


class StepFacts(Fact):
    """One batch that went through the loss's backward. Norms are L2; NaN stands where nothing was to be measured."""

    kind: Literal["step"] = "step"
    step: int  # global, from 1
    epoch: int = 1
    step_in_epoch: int
    ce: float  # nats, plain: smoothing, margins and weights taken out
    loss: float  # the scalar that backward was called on, AMP's scale taken out
    top1: float  # 0..1
    batch: int
    label_min: int
    label_max: int
    distinct_labels: int
    logit_std: float  # over the classes, mean over the batch
    feat_norm: float  # of the classifier's input, mean over the batch
    feat_cosine: float  # mean cosine between the classifier's inputs of two samples; after the first steps now and then
    channels_alive: float  # share of the neck's channels that vary within the batch; as often as feat_cosine
    head_norm: float
    head_update: float  # |dw| / |w| of this step
    head_moved: float  # |w - w at the start| / |w at the start|
    head_grad_before: float  # already there when backward began; 0 after zero_grad
    head_grad: float  # before clipping, AMP's scale taken out
    head_grad_applied: float  # as the optimizer found it
    backbone_grad: float  # over a few sentinel parameters
    backbone_grad_applied: float
    backbone_update: float
    lr_head: float | None  # as applied; None: the head is in no optimizer
    lr_backbone: float | None
    grad_norm_total: float = float("nan")  # as clip_grad_norm_ saw it
    clip_at: float | None = None
    amp_scale: float | None = None
    applied: bool  # the optimizer stepped
    events: str  # what happened since the last batch, in order: see EVENTS
    label_checksum: float = float("nan")  # the same for the same labels in any order
    ce_weight: float = float("nan")  # what the loss multiplies CE with; NaN: there is more between the two than factors
    ce_share: float = float("nan")  # |gradient of CE| / |of the whole loss|, at the feature; measured at few steps
    head_overwritten: float = float("nan")  # as head_update, rows at unit length: by others than optimizers, before it
    head_shortened: float = float("nan")  # share of its length that the same took; 0: rows brought to one length
    head_found: float = float("nan")  # what length of its first rows they left, where any of them had changed
    head_grad_cosine: float = float("nan")  # with CE's own gradient at the head, as the optimizer found it
    head_update_cosine: float = float("nan")  # with the same: below 0 where CE falls; both at the first updates only
    head_grad_of_ce: float = float("nan")  # what head_grad would be if the loss were plain CE; at few steps
    target_top: float = float("nan")  # mean of the largest share in soft targets; NaN: the loss is given labels
    soft_over_labels: float = float("nan")  # weight of losses with soft targets on CE's logits over CE's; at few steps
    turned_by: str = ""  # a function of the user's own behind the head that passed on minus the gradient; at few steps
    let_through: float = float("nan")  # length of the gradient that leaves a function of the user's own which makes the
    # logits, over that of the one it is given; at few steps
    head_steps: int | None = None  # how often an optimizer stepped the head for this batch
    head_optimizers: int | None = None  # by how many different ones
    backbone_moved: float = float("nan")  # as head_moved, of the sentinels; where no optimizer stepped for this batch
    data_s: float  # seconds spent waiting for the batch
    compute_s: float  # seconds from the batch's arrival to the next request


EVENTS = {
    "b": "backward through a classification loss",
    "x": "backward through something else",
    "z": "zero_grad",
    "u": "GradScaler unscaled",
    "c": "gradients clipped",
    "s": "optimizer stepped",
    "k": "GradScaler skipped the step",
}


class LoopFacts(Fact):
    """Counts over the whole training so far."""

    kind: Literal["loop"] = "loop"
    step: int
    backwards: int  # through a classification loss
    other_backwards: int
    optimizer_steps: int
    skipped_by_scaler: int
    zero_grads: int
    heads: int = 0  # of one name and shape that took each other's place
    heads_carried_on: int = 0  # of them: that began where one before began or near what it had come to, or came back
    head_optimizers: int = 0  # different ones that stepped the head
    unclassified: tuple[str, ...] = ()  # what losses ended in, the last operation in front, while none classified
    losses_without_gradient: int = 0  # cross-entropies over logits that ask for none, while gradients were on
    losses_left_out: int = 0  # cross-entropies over logits that ask for one, while no classification went backward
    loss_without_graph: float | None = None  # of a loss without a classification, what was added that has no graph
    leaf_backwards: int = 0  # on a tensor that nothing made: there is nothing to go back through
    rivals: tuple[str, ...] = ()  # heads of other losses, with a backward of their own, that are not judged


class AnewFacts(Fact):
    """Another loss, with a backward of its own, is judged from here on: it trains what the one before only looked at.

    The steps, labels and structure that were written before are the other loss's, and count no more.
    """

    kind: Literal["anew"] = "anew"
    step: int
    before: str | None  # the head that was judged
