from math import isfinite

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run
from reid_smoke.facts import StepFacts

STEPS = 3  # in a row: a single overflow under GradScaler is ordinary, weights that are NaN stay so


@check(
    "RS201", slug="ce-not-finite", severity="fatal", needs=[StepFacts], explains=["RS202", "RS203", "RS204", "RS503"]
)
def ce_not_finite(steps: list[StepFacts]) -> Finding | None:
    """CE is NaN or infinite.

    What it means:
        The logits, or the weights behind them, are no numbers any more.

    Why it stops learning:
        NaN spreads to every weight that it touches, and no later step takes it back.

    Mend:
        Look at the last finite steps. A CE that climbed before means a learning rate that is too large; a NaN in the
        first step means NaN in the images or the checkpoint; with fp16 use GradScaler and keep the weights in fp32,
        or use bf16. `torch.autograd.set_detect_anomaly(True)` names the operation.

    Seen in:
        fast-reid #111, #529, #100; MAR #5 (learning rate too high); OpenUnReID #43; person_search #31.
    """
    step = first_run(steps, lambda s: not isfinite(s.ce), STEPS)
    if step is None:
        return None
    before = [s for s in steps if isfinite(s.ce) and s.step < step.step]
    finite = (
        f"the last finite CE was {before[-1].ce:.2f} at step {before[-1].step}" if before else "it never was finite"
    )
    return Finding(f"CE is {steps[-1].ce} since step {step.step - STEPS + 1}; {finite}", step=step.step)
