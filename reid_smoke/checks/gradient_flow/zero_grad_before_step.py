import re
from itertools import pairwise
from math import isfinite

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run, updates
from reid_smoke.facts import StepFacts
from reid_smoke.rule import Curve

STEPS = 3
ZEROED_ALONE = re.compile("b[^skb]*z")  # a skip of GradScaler's is another matter
THROWN_AWAY = 0.6  # of the batches: an optimizer that looks ahead (SAM) goes backward twice for a step
ZEROED = re.compile("b[^sk]*z[^b]*s")
ZEROED_AFTER_ANOTHER = re.compile("b[^b]*z[^b]*s")  # an optimizer that lacks the head stepped before: of centres, say


@check(
    "RS306", slug="zero-grad-before-step", severity="fatal", needs=[StepFacts], uses=[Curve],
    explains=["RS202", "RS203", "RS311", "RS312", "RS401"],
)  # fmt: skip
def zero_grad_before_step(steps: list[StepFacts], curve: Curve) -> Finding | None:
    """Gradients are zeroed between backward and the step.

    What it means:
        The order is backward, zero_grad, step: the optimizer finds no gradient. Or, where gradients are accumulated,
        each batch begins with zero_grad, and only the last one before the step counts.

    Why it stops learning:
        Without a gradient an optimizer does nothing; with a gradient of zeros Adam still only decays the weights.

    Mend:
        Zero before the backward:

            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

        With accumulation zero only after a step, and not for each batch. Where the step stands under an `if` by its
        indentation alone, say one that logs every twenty batches, move it out.

    Seen in:
        Loops rearranged for accumulation or GradScaler; pytorch #47175.
    """
    step = first_run(updates(steps), lambda s: s.head_grad_applied == 0 and _is_zeroed_between(s), STEPS)
    if step is None:
        return _most_thrown_away(steps) if curve.word in ("flat", "slow") else None
    return Finding(
        f"in {STEPS} updates in a row zero_grad came between backward and the step, which found a head gradient of 0",
        step=step.step,
    )


def _is_zeroed_between(step: StepFacts) -> bool:
    return bool(ZEROED.search(step.events)) or (step.head_grad > 0 and bool(ZEROED_AFTER_ANOTHER.search(step.events)))


def _most_thrown_away(steps: list[StepFacts]) -> Finding | None:
    lost = [
        one
        for one, after in pairwise(steps)
        if after.step == one.step + 1
        and not one.applied
        and isfinite(one.loss)  # whoever leaves out such a batch does well
        and ZEROED_ALONE.search(one.events + after.events)
        and after.head_grad_before == 0
    ]
    if len(steps) < 2 or not updates(steps) or len(lost) < THROWN_AWAY * (len(steps) - 1):
        return None
    return Finding(
        f"the head's gradients of {len(lost)} of {len(steps)} batches were zeroed before any optimizer stepped; "
        f"{len(updates(steps))} batches had a step",
        step=lost[-1].step,
        severity="fail",
    )
