from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run, updates
from reid_smoke.facts import StepFacts
from reid_smoke.rule import Curve

STEPS = 5


@check(
    "RS406", slug="head-in-two-optimizers", severity="fail", needs=[StepFacts],
    uses=[Curve], explains=["RS202", "RS203", "RS204", "RS403", "RS411"],
)  # fmt: skip
def head_in_two_optimizers(steps: list[StepFacts], curve: Curve) -> Finding | None:
    """Two optimizers step the same head.

    What it means:
        The head's weight is in two optimizers, and both step it for every batch.

    Why it stops learning:
        Each knows nothing of the other: the head goes twice as far as either means to, in directions that their
        momenta disagree about, and decays twice. A training may bear it; then this is a warning.

    Mend:
        Give each parameter to one optimizer:

            head = set(model.classifier.parameters())
            rest = [p for p in model.parameters() if p not in head]

    Seen in:
        A second optimizer for the centre loss that is handed `model.parameters()` as well.
    """
    step = first_run(updates(steps), lambda s: (s.head_optimizers or 0) > 1, STEPS)
    if step is None:
        return None
    return Finding(
        f"{step.head_optimizers} optimizers step the head after one backward, the last at lr {step.lr_head}; "
        f"|dw|/|w| {step.head_update:.1e} a step",
        step=step.step,
        severity=grave_if_ce_fails(curve),
    )
