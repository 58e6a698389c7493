from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run
from reid_smoke.facts import ParameterFacts, StepFacts

STEPS = 5


@check(
    "RS209", slug="loss-maximised", severity="fatal", needs=[StepFacts], uses=[ParameterFacts],
    explains=["RS201", "RS202", "RS203", "RS204", "RS403", "RS503"],
)  # fmt: skip
def loss_maximised(steps: list[StepFacts], parameters: list[ParameterFacts]) -> Finding | None:
    """The identity loss is maximised.

    What it means:
        On the way from CE to the loss a sign was turned: a minus that belongs to a hand-written CE stands before one
        that has it already, or the loss is subtracted. Or the optimizer was told to climb: `maximize=True`.

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
    climbs = bool(parameters) and any(p.role == "head" and p.maximize for p in parameters[-1].parameters)
    # A reward, -CE, that is maximised is a CE that is minimised.
    step = first_run(steps, lambda s: (-s.ce_weight if climbs else s.ce_weight) < 0, STEPS)
    if step is None:
        return None
    how = f", and {parameters[-1].optimizer} maximises it" if climbs else ""
    return Finding(
        f"CE of {step.ce:.3f} enters the loss of {step.loss:.3g} times {step.ce_weight:.3g}{how}, "
        f"{STEPS} steps in a row",
        step=step.step,
    )
