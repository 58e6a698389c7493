from math import isfinite

from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import typical, updates
from reid_smoke.facts import StepFacts
from reid_smoke.rule import Curve

UPDATES = 5
UNDONE = 0.25  # of an update
JUMP = 0.5  # of |w|, in one go
JUMPS = 2  # one is a checkpoint that is loaded late


@check(
    "RS414", slug="weights-overwritten", severity="fail", needs=[StepFacts], uses=[Curve],
    explains=["RS202", "RS203", "RS204", "RS401", "RS403", "RS409"],
)  # fmt: skip
def weights_overwritten(steps: list[StepFacts], curve: Curve) -> Finding | None:
    """Something else than the optimizer writes to the head's weight.

    What it means:
        Between one update and the next the weight has changed, by as much as the updates themselves, or by most of its
        length again and again.

    Why it stops learning:
        What a step has learnt is undone before the next: the weights are loaded or initialised anew, or a slow average
        is copied back over them. Where CE falls all the same, this is a warning.

    Mend:
        Look for what writes to parameters within the loop: `load_state_dict`, an `init` in the forward or at the
        epoch's start, `.data`, `copy_` and `clamp_`. An average goes from the model to its copy, never back:

            for slow, fast in zip(teacher.parameters(), student.parameters()):
                slow.data.lerp_(fast.data, 1 - momentum)

    Seen in:
        Mean teachers with the two arguments of `copy_` exchanged; a best checkpoint loaded at each epoch's start.
    """
    done = [s for s in updates(steps) if isfinite(s.head_overwritten) and s.head_update > 0]
    # Rows at unit length cannot change by more than 2; a step away from tiny weights is many times as long as they are.
    undone = [s for s in done if s.head_overwritten >= UNDONE * min(s.head_update, 1.0)]
    jumps = [s for s in undone if s.head_overwritten >= JUMP]
    always = len(done) >= UPDATES and len(undone) > len(done) / 2
    if not always and len(jumps) < JUMPS:
        return None
    at = ", ".join(str(s.step) for s in jumps[:4])
    how = (
        f"before {len(undone)} of {len(done)} updates the head was not what the last one had left: it was changed by "
        f"{typical(undone, 'head_overwritten'):.2g} of |w|, an update by {typical(undone, 'head_update'):.2g} (medians)"
        if always
        else f"before {len(jumps)} of {len(done)} updates (steps {at}) the head had changed by half of |w| and more "
        "since the last one"
    )
    first = (undone if always else jumps)[0]
    return Finding(how, step=first.step, severity=grave_if_ce_fails(curve))
