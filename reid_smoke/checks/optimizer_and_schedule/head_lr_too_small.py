from math import prod, sqrt

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import NARROW, is_narrow, typical
from reid_smoke.facts import ParameterFacts, ParameterRecord, ScheduleFacts, StepFacts
from reid_smoke.rule import Curve, crossing_step

# A head that starts with large random weights has wide logits from the first step; there it counts how far it came.
HARDLY_MOVED = 0.3  # |w - w at the start| / |w at the start|
STANDS = 0.02  # the same, of a head beside which the rest learns: what CE fell, it fell without the head
GROWN = 5.0  # times their first spread, and half way to where CE falls: logits that are on their way apart
SOON = 3  # times the window, for CE to be under the bar at its pace
STRIDES = 0.3  # of |w| in a single update, after the whole window: whatever holds the head, its steps are not short
EPS = 1e-6  # whoever sets more than that meant another number
OVER = 10.0  # times an element of the gradient

SMALLER_EPS = """\
Adam divides the gradient by its own size plus eps. Where eps is far larger, it alone divides, and the step is the
learning rate times a tiny gradient. Look for a sign that was lost from 1e-8:

    optimizer = torch.optim.AdamW(params, lr=lr, eps=1e-8)"""

SHORTER = """\
Let the warm-up end sooner: give the schedule the number of steps that the training really has, in the unit in which it
is stepped, and an end of the warm-up that lies within the first epoch or two:

    steps = epochs * len(loader)                                                 # stepped after every batch
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr, total_steps=steps)

Where it leads has to be a head's learning rate, too: 1e-2 (AdamW) on a pretrained backbone, or 3.5e-4 (Adam) for all.

Or judge it later, with a window behind the warm-up: `reid-smoke watch --window FIRST:LAST ...`."""


@check(
    "RS401", slug="head-lr-too-small", severity="fail", when="end", needs=[StepFacts, ParameterFacts],
    uses=[Curve, ScheduleFacts], explains=["RS202", "RS203"],
)  # fmt: skip
def head_lr_too_small(
    steps: list[StepFacts], parameters: list[ParameterFacts], curve: Curve, schedules: list[ScheduleFacts]
) -> Finding | None:
    """The head's learning rate is alive, but far too small.

    What it means:
        The head gets its gradient and the optimizer steps, but the steps are so short that the logits are still close
        together after the window: whatever the features are, CE could not have fallen. Or they are wide from the start,
        of large random weights, and those weights stand while the rest learns to suit them.

    Why it stops learning:
        It would learn, in some ten thousand steps. A classifier starts from nothing and needs a learning rate a
        hundred to a thousand times that of a pretrained backbone.

    Mend:
        Give the head a group of its own at 1e-2 (AdamW), and let a warm-up rise per step, not per epoch: a scheduler
        that is stepped once an epoch holds its first value for the whole first epoch.

            optimizer = torch.optim.AdamW([
                {"params": head.parameters(), "lr": 1e-2},
                {"params": backbone.parameters(), "lr": 1e-5},
            ], weight_decay=1e-4)

    Seen in:
        IRRA #9 (the advice was the classifier's learning rate); an epoch-level warm-up that leaves the head at 1e-5 for
        the whole first epoch, and CE at 5.985 at step 200 (1e-4: 5.94, 1e-3: 5.44, 1e-2: 2.5).
    """
    recent = steps[-20:]
    spread, update, lr = typical(recent, "logit_std"), typical(recent, "head_update"), typical(recent, "lr_head")
    gradient = typical(recent, "head_grad_applied")
    moved = recent[-1].head_moved
    if curve.word not in ("flat", "slow") or spread is None:
        return None
    if not (_stays_narrow(steps, curve) or moved <= (HARDLY_MOVED if curve.word == "flat" else STANDS)):
        return None
    head = next((p for p in parameters[-1].parameters if p.role == "head"), None)
    if head is not None and _stepped_unseen(steps, head, parameters[-1]):
        return Finding(
            f"no optimizer of torch's steps the head, so its learning rate is not known; |w| moved {moved:.2g} of "
            f"itself in {steps[-1].step} steps; the logits spread by {spread:.3f}, and CE stands at "
            f"{curve.ce.window_mean:.3f}",
            step=steps[-1].step,
        )
    if update is None or lr is None or not (lr > 0 and 0 < update < STRIDES and gradient):
        return None
    goal = schedules[-1].lr_set if schedules else head.lr_initial if head is not None else None
    held_down = goal is not None and goal > 2 * lr
    planned = (
        f" ({lr / goal:.1%} of the {goal:.3g} that was set: a scheduler holds it down)" if goal and held_down else ""
    )
    would_do = goal is not None and moved * goal / lr >= HARDLY_MOVED  # at that rate, in as many steps
    rise = _rise_to_come(schedules) if held_down and would_do else ""
    eps = _eps_in_the_way(head, gradient)
    return Finding(
        f"head lr {lr:.3g}{planned}{rise}{eps}, |dw|/|w| {update:.1e} a step, |w| moved {moved:.2g} of itself "
        f"in {steps[-1].step} steps; the logits spread by {spread:.3f}, and CE stands at {curve.ce.window_mean:.3f}",
        step=steps[-1].step,
        mend=SMALLER_EPS if eps else SHORTER if rise else None,
    )


def _stepped_unseen(steps: list[StepFacts], head: ParameterRecord, last: ParameterFacts) -> bool:
    """By hand, or by an optimizer of another kind than torch's; and no clipping that takes from the gradient was seen,
    which makes steps short, too."""
    if last.optimizer or any(s.applied or s.head_steps for s in steps) or not (head.requires_grad and head.reached):
        return False
    clipped = any(s.clip_at is not None and not s.grad_norm_total <= s.clip_at for s in steps)
    return steps[-1].head_moved > 0 and not clipped


def _eps_in_the_way(head: ParameterRecord | None, gradient: float) -> str:
    """Where it shortens Adam's steps more than the learning rate does; empty: it does not."""
    if head is None or head.eps is None or head.eps <= EPS:
        return ""
    element = gradient / sqrt(prod(head.shape))
    return (
        f", with an eps of {head.eps:.3g} over a gradient of {element:.1e} an element"
        if head.eps > OVER * element
        else ""
    )


def _rise_to_come(schedules: list[ScheduleFacts]) -> str:
    """Of a schedule that has come through less than half of its warm-up; empty: none, or it stands still."""
    for one in schedules[-1].schedules if schedules else ():
        if one.warm_up and 0 < one.position < one.warm_up / 2:
            return f", {one.name} rises over {one.warm_up} of its steps and has taken {one.position}"
    return ""


def _stays_narrow(steps: list[StepFacts], curve: Curve) -> bool:
    """The logits are close together, and it is not only a matter of time until they are apart."""
    start, now = typical(steps[:5], "logit_std"), typical(steps[-20:], "logit_std")
    on_their_way = start is not None and now is not None and now >= max(GROWN * start, NARROW / 2)
    crossing = crossing_step(curve)
    soon = crossing is not None and crossing <= SOON * curve.rule.window[1]
    return is_narrow(steps[-20:]) and not (on_their_way and soon)
