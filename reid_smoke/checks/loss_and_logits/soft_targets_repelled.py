from statistics import median

from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import figures
from reid_smoke.facts import StepFacts
from reid_smoke.rule import Curve

TIMES = -0.3  # of CE's weight; a penalty on sure answers, the logits' own odds pushed away, has about -0.1
LOOKS = 3


@check(
    "RS219", slug="soft-targets-repelled", severity="fail", needs=[StepFacts], uses=[Curve],
    explains=["RS201", "RS202", "RS203", "RS204", "RS209", "RS401", "RS403", "RS503"],
)  # fmt: skip
def soft_targets_repelled(steps: list[StepFacts], curve: Curve) -> Finding | None:
    """A loss with soft targets enters with a minus: the model is driven away from its teacher.

    What it means:
        Beside CE a loss with a teacher's soft targets is given the same logits, and on the way to the whole loss its
        sign was turned.

    Why it stops learning:
        A divergence has a floor at 0, and no ceiling: who maximises it can push the teacher's likeliest identity, which
        mostly is the right one, down for ever. CE climbs, and no learning rate is small enough.

    Mend:
        Add it. `F.kl_div` gives the divergence with its sign; a hand-written one has the minus inside:

            loss = ce + alpha * F.kl_div(student.log_softmax(1), teacher.softmax(1), reduction="batchmean")

    Seen in:
        A minus copied from `-(targets * log_probs).sum(1)` to a term that has it already.
    """
    seen = figures(steps, "soft_over_labels")
    if len(seen) < LOOKS or max(seen) >= 0 or median(seen) > TIMES:
        return None
    return Finding(
        f"a loss with soft targets on the same logits weighs {median(seen):.3g} times as much as CE (median of "
        f"{len(seen)} steps): what brings the model nearer to its targets makes the loss larger",
        step=steps[-1].step,
        severity=grave_if_ce_fails(curve),
    )
