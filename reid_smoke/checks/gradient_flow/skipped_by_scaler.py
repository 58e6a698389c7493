from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run
from reid_smoke.facts import StepFacts

SKIPS = 24  # in a row: GradScaler starts at 65536 = 2^16 and halves, so that 16 skips bring it to 1


@check("RS308", slug="skipped-by-gradscaler", severity="fatal", needs=[StepFacts], explains=["RS202", "RS203", "RS401"])
def skipped_by_scaler(steps: list[StepFacts]) -> Finding | None:
    """GradScaler skips every step.

    What it means:
        The gradients are infinite or NaN at every scale that was tried, so GradScaler withholds each step and halves
        its scale. A few skips at the start are how it finds its scale, and are healthy.

    Why it stops learning:
        A skipped step changes nothing.

    Mend:
        Something is infinite before any scaling: look for a division by a norm of 0, log(0), or fp16 logits over 65504.
        Compute the loss in fp32 (`logits.float()`), or use bf16, which needs no scaler.

    Seen in:
        pytorch #67590, #152279 (that it should say so); fast-reid #403 (healthy skips).
    """
    step = first_run(steps, lambda s: "k" in s.events and not s.applied, SKIPS)
    if step is None:
        return None
    skipped = sum("k" in s.events for s in steps)
    scale = f", at a scale of {step.amp_scale:g}" if step.amp_scale is not None else ""
    return Finding(f"{skipped} of {len(steps)} steps skipped, {SKIPS} in a row by step {step.step}{scale}", step.step)
