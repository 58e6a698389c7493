from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run, has_no_labels, updates
from reid_smoke.facts import GraphFacts, StepFacts

STEPS = 5
LEARNT = 1e-3  # nats: a CE under this has no gradient left to speak of, and that is success


@check(
    "RS311", slug="head-gradient-zero", severity="fatal", needs=[StepFacts, GraphFacts],
    explains=["RS202", "RS203", "RS312", "RS401"],
)  # fmt: skip
def head_gradient_zero(steps: list[StepFacts], graphs: list[GraphFacts]) -> Finding | None:
    """The head's gradient is exactly zero.

    What it means:
        The loss reaches the head, backward runs, and what arrives is 0 in every element.

    Why it stops learning:
        Nothing is added to the weights, whatever the learning rate is.

    Mend:
        Look for what makes a gradient exactly 0: a clamp that cuts all logits off, a mask of zeros, a feature of zeros,
        fp16 gradients that underflow without GradScaler, a hook that returns zeros.

            model.classifier.weight.grad.abs().max()   # after backward, before the step

    Seen in:
        fp16 without a scaler; torchreid #357 (a weight of 0).
    """
    if not graphs[-1].head_trainable or has_no_labels(graphs):  # prototypes are left alone for an epoch, as a rule
        return None
    held = [s for s in updates(steps) if s.lr_head is not None]
    step = first_run(held, lambda s: s.head_grad == 0 and s.ce > LEARNT, STEPS)
    if step is None:
        return None
    return Finding(
        f"{graphs[-1].head} had a gradient of 0 in {STEPS} updates in a row, at a CE of {step.ce:.3f}", step=step.step
    )
