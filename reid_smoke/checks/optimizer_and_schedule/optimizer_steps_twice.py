from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run, updates
from reid_smoke.facts import StepFacts
from reid_smoke.rule import Curve

STEPS = 5


@check(
    "RS407", slug="optimizer-steps-twice", severity="fail", needs=[StepFacts],
    uses=[Curve],
    explains=["RS202", "RS203", "RS204", "RS403"], lies_in="optimizer",
)  # fmt: skip
def optimizer_steps_twice(steps: list[StepFacts], curve: Curve) -> Finding | None:
    """The optimizer steps more than once for every batch.

    What it means:
        After one backward the same optimizer steps twice or more, with the same gradient.

    Why it stops learning:
        It takes the same step again, past the point that the gradient was measured for: the learning rate is twice what
        is written, the momentum and the decay as well. A training may bear it; then this is a warning.

    Mend:
        Step once. GradScaler's `step` has stepped the optimizer already:

            scaler.step(optimizer)   # and no optimizer.step() beside it
            scaler.update()

    Seen in:
        Loops moved to AMP in which the old `optimizer.step()` was left standing; `step()` in a helper and in the loop.
    """
    step = first_run(updates(steps), lambda s: (s.head_steps or 0) > (s.head_optimizers or 0) > 0, STEPS)
    if step is None:
        return None
    return Finding(
        f"{step.head_steps} steps of the head's optimizer after one backward, {STEPS} times in a row "
        f"(events of batch {step.step}: {step.events})",
        step=step.step,
        severity=grave_if_ce_fails(curve),
    )
