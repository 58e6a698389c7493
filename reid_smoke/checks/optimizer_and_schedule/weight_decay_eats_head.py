from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import typical
from reid_smoke.facts import ParameterFacts, StepFacts
from reid_smoke.rule import Curve

A_STEP = 0.05  # of |w|: half of what was learnt is gone within fourteen steps
A_RUN = 0.2  # of |w|, over all steps seen: less is no meal
# Of what moves the head: then decay takes away a good part of what the gradient gives. Healthy trainings have less than
# a hundredth; where Adam divides both by the same root, 0.4 is enough to stand still.
SHARE = 0.3


@check(
    "RS409", slug="weight-decay-eats-head", severity="fail", needs=[StepFacts, ParameterFacts],
    uses=[Curve], explains=["RS201", "RS202", "RS203", "RS204", "RS207", "RS401", "RS403"],
)  # fmt: skip
def weight_decay_eats_head(steps: list[StepFacts], parameters: list[ParameterFacts], curve: Curve) -> Finding | None:
    """Weight decay takes away what the head learns.

    What it means:
        At the end of the window the pull of the decay on the head is about as strong as that of the gradient.

    Why it stops learning:
        The head stands where the two balance: at small weights, with logits that lie close together.

    Mend:
        Use 1e-4 to 5e-4, and none for the head if in doubt. AdamW's weight decay of 0.05 belongs to learning rates of
        1e-3 and less; what counts is lr times decay, the share that is lost in every step.

            {"params": model.classifier.parameters(), "lr": 1e-2, "weight_decay": 1e-4}

    Seen in:
        A comparison of eight tools over 23 faults, in which none named a huge weight decay.
    """
    head = next((p for p in parameters[-1].parameters if p.role == "head" and p.weight_decay), None)
    recent = steps[-20:]
    lr, norm = typical(recent, "lr_head"), typical(recent, "head_norm")
    gradient, update = typical(recent, "head_grad"), typical(recent, "head_update")
    if head is None or head.weight_decay is None or lr is None:
        return None
    decay, name = head.weight_decay, parameters[-1].optimizer.lower()
    # AdamW and SGD take lr * decay of the weight itself; Adam adds decay * weight to a gradient that it then rescales.
    taken = lr * decay if "adamw" in name or "sgd" in name else None
    measured = norm and gradient and update and curve.word != "short"
    if taken is not None and taken >= A_STEP and (taken > 1 or measured):
        how = f"lr times decay takes {taken:.2g} of |w| in each step"
        overshot = ", more than there is: it changes its sign, and grows" if taken > 2 else ""
        return Finding(
            f"weight decay {decay:g}: {how}{overshot}{f'; |w| is {norm:.3g}' if norm is not None else ''}",
            step=steps[-1].step,
        )
    if norm is None or not gradient or not update:
        return None
    if curve.word not in ("flat", "slow", "rises", "broken") or (taken is not None and taken * len(steps) < A_RUN):
        return None
    decoupled = "adamw" in name
    share = lr * decay / update if decoupled else decay * norm / gradient
    if share < SHARE:
        return None
    how = (
        f"lr times decay takes {lr * decay:.2g} of |w| a step, and |dw|/|w| is {update:.2g}"
        if decoupled
        else f"decay times |w| is {decay * norm:.2g}, the head's gradient {gradient:.2g}"
    )
    return Finding(f"weight decay {decay:g}: {how}; |w| is {norm:.3g}", step=steps[-1].step)
