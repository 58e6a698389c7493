from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run
from reid_smoke.facts import StepFacts
from reid_smoke.rule import Curve

SKIPS = 24  # in a row: GradScaler starts at 65536 = 2^16 and halves, so that 16 skips bring it to 1
FEW = 3  # and nothing else until the window closed: a step that comes later comes too late


@check(
    "RS308", slug="skipped-by-gradscaler", severity="fatal", needs=[StepFacts],
    uses=[Curve], explains=["RS202", "RS203", "RS401"],
)  # fmt: skip
def skipped_by_scaler(steps: list[StepFacts], curve: Curve) -> Finding | None:
    """GradScaler skips every step.

    What it means:
        The gradients are infinite or NaN at every scale that was tried, so GradScaler withholds each step and halves
        its scale. A few skips at the start are how it finds its scale, and are healthy. From a scale that is far too
        large it needs a hundred, and with accumulation each of them takes several batches.

    Why it stops learning:
        A skipped step changes nothing.

    Mend:
        Something is infinite before any scaling: look for a division by a norm of 0, log(0), or fp16 logits over 65504.
        Compute the loss in fp32 (`logits.float()`), or use bf16, which needs no scaler. Leave `init_scale` as it is,
        65536.

    Seen in:
        pytorch #67590, #152279 (that it should say so); fast-reid #403 (healthy skips).
    """
    tried = [s for s in steps if s.applied or "k" in s.events]  # with accumulation, one of several batches
    skipped = [s for s in tried if not s.applied]
    step = first_run(tried, lambda s: not s.applied, SKIPS)
    certain = step is not None
    if step is None:
        if curve.word == "short" or len(skipped) < len(tried) or len(skipped) < FEW:
            return None
        step = skipped[-1]
    row = len(skipped) if len(skipped) == len(tried) else SKIPS
    scale = f", at a scale of {step.amp_scale:g}" if step.amp_scale is not None else ""
    return Finding(
        f"{len(skipped)} of {len(tried)} optimizer steps skipped, {row} in a row by step {step.step}{scale}",
        step=step.step,
        severity="fatal" if certain else "fail",
    )
