from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run, updates
from reid_smoke.facts import StepFacts

STEPS = 5  # a weight that is raised from 0 step by step has left it by then


@check(
    "RS208", slug="ce-weight-zero", severity="fatal", needs=[StepFacts],
    explains=["RS202", "RS203", "RS210", "RS311", "RS312", "RS401", "RS503"],
)  # fmt: skip
def ce_weight_zero(steps: list[StepFacts]) -> Finding | None:
    """The identity loss has a weight of 0.

    What it means:
        CE is computed and logged, and multiplied with 0 before it is added to the loss.

    Why it stops learning:
        No gradient of CE flows. The head never learns, and CE stays at log C while the other losses fall.

    Mend:
        Give it a weight, 1.0 unless there is a reason: look at the option's default, and at an integer division such as
        `1 // 2` in a schedule.

            loss = cfg.weight_x * ce + cfg.weight_t * triplet   # weight_x: 1.0

    Seen in:
        torchreid #357 (6.66 = log 782 for ever: `weight_x` was 0).
    """
    step = first_run(updates(steps), lambda s: s.ce_weight == 0 and s.head_grad == 0, STEPS)
    if step is None:
        return None
    return Finding(
        f"the loss of {step.loss:.3g} holds a CE of {step.ce:.3f} times 0, {STEPS} updates in a row; "
        "the head's gradient is 0",
        step=step.step,
    )
