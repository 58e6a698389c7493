from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run, updates
from reid_smoke.facts import GraphFacts, StepFacts

STEPS = 20  # a branch that starts from zero weights opens within the first few
REACHED = 0.5  # of the trainable parameters: else those looked at may lie in a branch that is not in use
LEARNT = 1e-3  # nats


@check(
    "RS312", slug="backbone-gradient-zero", severity="fail", needs=[StepFacts, GraphFacts],
    explains=["RS202", "RS203", "RS204"], lies_in="model",
)  # fmt: skip
def backbone_gradient_zero(steps: list[StepFacts], graphs: list[GraphFacts]) -> Finding | None:
    """The backbone's gradient is exactly zero, although the loss reaches it.

    What it means:
        In the graph there is a way from the loss to the trainable backbone, and what comes down it is 0 in every
        element.

    Why it stops learning:
        The features stay as they are. CE may still fall, as far as a head on fixed features can go.

    Mend:
        Look at what stands between the backbone and the head: a product with zeros, a clamp, a ReLU that is never
        active, an fp16 underflow. A backbone that is to stay fixed is frozen instead:

            backbone.requires_grad_(False)

    Seen in:
        Attention masks of zeros; fp16 without a scaler.
    """
    last = graphs[-1]
    if not last.backbone_trainable or last.backbone_reached < REACHED * last.backbone_trainable:
        return None
    held = [s for s in updates(steps) if s.lr_backbone is not None]
    step = first_run(held, lambda s: s.backbone_grad == 0 and s.ce > LEARNT, STEPS)
    if step is None:
        return None
    return Finding(
        f"{last.backbone_reached} backbone parameters are reached, and those looked at had a gradient of 0 "
        f"in {STEPS} updates in a row",
        step=step.step,
    )
