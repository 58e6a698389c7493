from math import isfinite

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run
from reid_smoke.facts import ParameterFacts, StepFacts

STEPS = 5
LOOKS = 3  # updates of the head
ALONG = 0.1  # cosine; Adam's first update has about -0.8 with the gradient, and an update by another batch about 0


@check(
    "RS209", slug="loss-maximised", severity="fatal", needs=[StepFacts], uses=[ParameterFacts],
    explains=["RS201", "RS202", "RS203", "RS204", "RS403", "RS503"], lies_in="optimizer",
)  # fmt: skip
def loss_maximised(steps: list[StepFacts], parameters: list[ParameterFacts]) -> Finding | None:
    """The identity loss is maximised.

    What it means:
        On the way from CE to the loss a sign was turned: a minus that belongs to a hand-written CE stands before one
        that has it already, or the loss is subtracted. Or the optimizer was told to climb: `maximize=True`. Or the
        gradients are turned around after backward, or an optimizer of one's own adds what it should take away. Or a
        sharpness-aware optimizer (SAM) climbs, as its first step does, and the second never comes. Or the
        identity head stands behind a gradient-reversal layer: it learns, and the backbone learns to make it fail.

    Why it stops learning:
        Every step makes the right identity less likely. The loss that is shown falls, far below 0, and looks like
        progress.

    Mend:
        A cross-entropy is never negative; take the extra minus away:

            loss = F.cross_entropy(logits, labels)                            # not: -F.cross_entropy(...)
            loss = -log_probs.gather(1, labels[:, None]).mean()               # one minus, by hand

        In an optimizer written by hand the step goes against the gradient:

            parameter.add_(parameter.grad, alpha=-lr)

        SAM needs both of its steps for each batch, each after a backward of its own:

            criterion(model(images), labels).backward()
            optimizer.first_step(zero_grad=True)
            criterion(model(images), labels).backward()
            optimizer.second_step(zero_grad=True)

        A gradient reversal belongs before the head of what is to be forgotten, the camera say, and before no other.

    Seen in:
        An SDM below 0, which a KL divergence can never be; rewards and losses mixed up.
    """
    climbs = bool(parameters) and any(p.role == "head" and p.maximize for p in parameters[-1].parameters)
    # A reward, -CE, that is maximised is a CE that is minimised.
    step = first_run(steps, lambda s: (-s.ce_weight if climbs else s.ce_weight) < 0, STEPS)
    if step is None:
        return _goes_uphill(steps) or _is_turned(steps)
    how = f", and {parameters[-1].optimizer} maximises it" if climbs else ""
    return Finding(
        f"CE of {step.ce:.3f} enters the loss of {step.loss:.3g} times {step.ce_weight:.3g}{how}, "
        f"{STEPS} steps in a row",
        step=step.step,
    )


def _goes_uphill(steps: list[StepFacts]) -> Finding | None:
    seen = [s for s in steps if isfinite(s.head_update_cosine)]
    step = first_run(seen, lambda s: s.head_update_cosine > ALONG, LOOKS)
    if step is None:
        return None
    turned = step.head_grad_cosine < -ALONG
    where = "the gradient was turned around between backward and the step" if turned else "its step has the wrong sign"
    if not step.head_steps:
        return Finding(
            f"{LOOKS} times in a row the head moved along CE's own gradient, uphill (cosine "
            f"{step.head_update_cosine:.2f}), by something else than an optimizer's step(), which was not called in "
            f"between: the first half of a two-step optimizer without the second, or an update by hand with a plus",
            step=step.step,
        )
    found = f", and the gradient that it found has a cosine of {step.head_grad_cosine:.2f} with that one"
    return Finding(
        f"in {LOOKS} updates in a row the optimizer moved the head along CE's own gradient, uphill (cosine "
        f"{step.head_update_cosine:.2f}){found if isfinite(step.head_grad_cosine) else ''}: {where}",
        step=step.step,
    )


def _is_turned(steps: list[StepFacts]) -> Finding | None:
    step = next((s for s in steps if s.turned_by), None)
    if step is None:
        return None
    return Finding(
        f"between the head and the backbone {step.turned_by} passes on minus the gradient that it gets: the head "
        "learns to tell identities apart, and the backbone to make it fail",
        step=step.step,
    )
