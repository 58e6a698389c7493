from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import updates
from reid_smoke.facts import LoopFacts, StepFacts
from reid_smoke.rule import Curve

OPTIMIZERS = 4
LIVES = 10  # updates in the life of each; a new one for each epoch or stage bears it


@check(
    "RS415", slug="optimizer-made-anew", severity="fail", needs=[LoopFacts, StepFacts], uses=[Curve],
    explains=["RS202", "RS203", "RS204", "RS401"],
)  # fmt: skip
def optimizer_made_anew(counts: list[LoopFacts], steps: list[StepFacts], curve: Curve) -> Finding | None:
    """The optimizer is made anew every few steps.

    What it means:
        One optimizer after the other has stepped the head, each of them a few times.

    Why it stops learning:
        Momentum and Adam's averages begin at zero each time. Adam's first step is as long for noise as for signal, and
        a warm-up never ends. Where CE falls all the same, this is a warning.

    Mend:
        Build it once, before the loop. To change a learning rate, change the group:

            for group in optimizer.param_groups:
                group["lr"] = lr

    Seen in:
        `adjust_learning_rate` functions that return a new optimizer.
    """
    done = len(updates(steps))
    made = counts[-1].head_optimizers
    if made < OPTIMIZERS or done > LIVES * made:
        return None
    if max((s.head_optimizers or 0) for s in steps) >= made:
        return None  # side by side, not one after the other
    return Finding(
        f"{made} different optimizers stepped the head in {done} updates", step=counts[-1].step,
        severity=grave_if_ce_fails(curve),
    )  # fmt: skip
