import re

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run, updates
from reid_smoke.facts import StepFacts

STEPS = 3
ZEROED = re.compile("b[^sk]*z[^b]*s")


@check(
    "RS306", slug="zero-grad-before-step", severity="fatal", needs=[StepFacts],
    explains=["RS202", "RS203", "RS311", "RS312", "RS401"],
)  # fmt: skip
def zero_grad_before_step(steps: list[StepFacts]) -> Finding | None:
    """Gradients are zeroed between backward and the step.

    What it means:
        The order is backward, zero_grad, step: the optimizer finds no gradient.

    Why it stops learning:
        Without a gradient an optimizer does nothing; with a gradient of zeros Adam still only decays the weights.

    Mend:
        Zero before the backward:

            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    Seen in:
        Loops rearranged for accumulation or GradScaler; pytorch #47175.
    """
    step = first_run(updates(steps), lambda s: bool(ZEROED.search(s.events)) and s.head_grad_applied == 0, STEPS)
    if step is None:
        return None
    return Finding(
        f"in {STEPS} updates in a row zero_grad came between backward and the step, which found a head gradient of 0",
        step=step.step,
    )
