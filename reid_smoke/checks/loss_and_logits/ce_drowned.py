from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import figures, typical
from reid_smoke.facts import StepFacts
from reid_smoke.rule import Curve

# Of the gradient at the feature. CE beside a triplet loss, both at 1, has 0.2 to 0.9; under 1 in 50 it is less than the
# other loss differs from batch to batch.
SHARE = 0.02


@check(
    "RS210", slug="ce-drowned", severity="fail", when="end", needs=[StepFacts],
    uses=[Curve],
    explains=["RS201", "RS202", "RS203", "RS204", "RS309", "RS401", "RS403", "RS503"],
)  # fmt: skip
def ce_drowned(steps: list[StepFacts], curve: Curve) -> Finding | None:
    """Another loss drowns the identity loss.

    What it means:
        Where the losses meet, at the feature, nearly all of the gradient is another loss's.

    Why it stops learning:
        The backbone follows the other loss alone. If that one is content with a collapsed or shrinking feature, the
        head has nothing to go by.

    Mend:
        Log the losses one by one, and weigh them so that none is more than ten times as large as CE; a centre loss
        has a weight of 5e-4 in strong-baseline. A loss that is summed over the batch or over pairs wants a mean. While
        the head warms up, leave the others out altogether.

    Seen in:
        torchreid #357 (weights of CE and triplet); centre losses without their small weight.
    """
    share = typical(steps, "ce_share")
    if share is None or share > SHARE:
        return None
    last = steps[-1]
    return Finding(
        f"{share:.1e} of the gradient at the feature is CE's (median of {len(figures(steps, 'ce_share'))} steps); "
        f"the loss is {last.loss:.3g}, CE {last.ce:.3g}",
        step=last.step,
        severity=grave_if_ce_fails(curve),
    )
