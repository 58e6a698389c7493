from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run
from reid_smoke.facts import StepFacts

STEPS = 5


@check(
    "RS209", slug="loss-maximised", severity="fatal", needs=[StepFacts],
    explains=["RS201", "RS202", "RS203", "RS204", "RS403", "RS503"],
)  # fmt: skip
def loss_maximised(steps: list[StepFacts]) -> Finding | None:
    """The identity loss is maximised: it enters with a minus.

    What it means:
        On the way from CE to the loss a sign was turned: a minus that belongs to a hand-written CE stands before one
        that has it already, or the loss is subtracted.

    Why it stops learning:
        Every step makes the right identity less likely. The loss that is shown falls, far below 0, and looks like
        progress.

    Mend:
        A cross-entropy is never negative; take the extra minus away:

            loss = F.cross_entropy(logits, labels)                            # not: -F.cross_entropy(...)
            loss = -log_probs.gather(1, labels[:, None]).mean()               # one minus, by hand

    Seen in:
        An SDM below 0, which a KL divergence can never be; rewards and losses mixed up.
    """
    step = first_run(steps, lambda s: s.ce_weight < 0, STEPS)
    if step is None:
        return None
    return Finding(
        f"CE of {step.ce:.3f} enters the loss of {step.loss:.3g} times {step.ce_weight:.3g}, {STEPS} steps in a row",
        step=step.step,
    )
