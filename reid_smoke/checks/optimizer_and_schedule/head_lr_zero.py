from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run, updates
from reid_smoke.facts import StepFacts

STEPS = 5  # a warm-up that starts from 0 and rises per step has left it by then


@check("RS402", slug="head-lr-zero", severity="fatal", needs=[StepFacts], explains=["RS202", "RS203", "RS401"])
def head_lr_zero(steps: list[StepFacts]) -> Finding | None:
    """The head's learning rate is zero.

    What it means:
        The head is in the optimizer, and every step is taken with a learning rate of 0.

    Why it stops learning:
        Zero times any gradient is zero.

    Mend:
        Look at the scheduler: a warm-up per epoch that starts from 0 spends its whole first epoch there; a cosine whose
        length was given in epochs but which is stepped per batch reaches 0 after a few batches.

    Seen in:
        Warm-up functions `lambda epoch: epoch / warmup_epochs`.
    """
    step = first_run(updates(steps), lambda s: s.lr_head == 0, STEPS)
    if step is None:
        return None
    return Finding(
        f"{STEPS} optimizer steps in a row with head lr 0, the last of them after batch {step.step}", step.step
    )
