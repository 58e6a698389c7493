from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run, updates
from reid_smoke.facts import GraphFacts, StepFacts
from reid_smoke.rule import Curve

STEPS = 5  # a weight that is raised from 0 step by step has left it by then


@check(
    "RS208", slug="ce-weight-zero", severity="fatal", needs=[StepFacts, GraphFacts], uses=[Curve],
    explains=["RS202", "RS203", "RS210", "RS311", "RS312", "RS401", "RS503"],
)  # fmt: skip
def ce_weight_zero(steps: list[StepFacts], graphs: list[GraphFacts], curve: Curve) -> Finding | None:
    """The identity loss has a weight of 0.

    What it means:
        CE is computed and logged, and multiplied with 0 before it is added to the loss.

    Why it stops learning:
        No gradient of CE flows. The head never learns, and CE stays at log C while the other losses fall.

    Mend:
        Give it a weight, 1.0 unless there is a reason: look at the option's default, and at an integer division such as
        `1 // 2` in a schedule. Label smoothing is a share, and wants 0.1: with 1.0 nothing is left of the label.

            loss = cfg.weight_x * ce + cfg.weight_t * triplet   # weight_x: 1.0

    Seen in:
        torchreid #357 (6.66 = log 782 for ever: `weight_x` was 0).
    """
    step = first_run(updates(steps), lambda s: s.ce_weight == 0 and s.head_grad == 0, STEPS)
    if step is None:
        return _replaced(steps, graphs[-1], curve)
    return Finding(
        f"the loss of {step.loss:.3g} holds a CE of {step.ce:.3f} times 0, {STEPS} updates in a row; "
        "the head's gradient is 0",
        step=step.step,
    )


def _replaced(steps: list[StepFacts], graph: GraphFacts, curve: Curve) -> Finding | None:
    """CE has no part in the loss, and the head follows something else: a label smoothing of 1, or a teacher."""
    if graph.same_logits > 1:  # mixup may hand its whole weight to the other label
        return None
    step = first_run(updates(steps), lambda s: s.ce_weight == 0, STEPS)
    if step is None:
        return None
    return Finding(
        f"CE has a weight of 0 in the loss, {STEPS} updates in a row; the head's gradient of {step.head_grad:.2g} "
        "comes from something else, such as label smoothing of 1",
        step=step.step,
        severity=grave_if_ce_fails(curve),
    )
