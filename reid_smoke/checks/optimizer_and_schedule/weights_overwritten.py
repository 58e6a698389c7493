from collections.abc import Sequence
from math import isfinite
from statistics import quantiles

from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import typical, updates
from reid_smoke.facts import StepFacts
from reid_smoke.rule import Curve

UPDATES = 5
UNDONE = 0.25  # of an update
JUMP = 0.5  # of |w|, in one go
JUMPS = 2  # one is a checkpoint that is loaded late
PULLED = 0.02  # of |w|, each time; weight decay takes a thousandth and less
ALIKE = 0.2  # of the median: the spread of the shares
ONE_LENGTH = 0.05  # of itself: how far a few of many rows go apart where a constraint holds the whole at one


@check(
    "RS414", slug="weights-overwritten", severity="fail", needs=[StepFacts], uses=[Curve],
    explains=["RS202", "RS203", "RS204", "RS401", "RS403", "RS409"],
)  # fmt: skip
def weights_overwritten(steps: list[StepFacts], curve: Curve) -> Finding | None:
    """Something else than the optimizer writes to the head's weight.

    What it means:
        Between one update and the next the weight has changed, by as much as the updates themselves, or by most of its
        length again and again; or each time it is drawn back by the same share, far more than weight decay takes.

    Why it stops learning:
        What a step has learnt is undone before the next: the weights are loaded or initialised anew, or a slow average
        is copied back over them. Where it is mixed into them, what lies a few steps back is forgotten. Where CE falls
        all the same, this is a warning.

    Mend:
        Look for what writes to parameters within the loop: `load_state_dict`, an `init` in the forward or at the
        epoch's start, `.data`, `copy_` and `clamp_`. An average goes from the model to its copy, never back:

            for slow, fast in zip(teacher.parameters(), student.parameters()):
                slow.data.lerp_(fast.data, 1 - momentum)

    Seen in:
        Mean teachers with the two arguments of `copy_`, or the two models of the average, exchanged; a best checkpoint
        loaded at each epoch's start.
    """
    done = [s for s in updates(steps) if isfinite(s.head_overwritten) and s.head_update > 0]
    # Rows at unit length cannot change by more than 2; a step away from tiny weights is many times as long as they are.
    undone = [s for s in done if s.head_overwritten >= UNDONE * min(s.head_update, 1.0)]
    jumps = [s for s in undone if s.head_overwritten >= JUMP]
    always = len(done) >= UPDATES and len(undone) > len(done) / 2
    if not always and len(jumps) < JUMPS:
        return _drawn_back(done, curve)
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


def _drawn_back(done: Sequence[StepFacts], curve: Curve) -> Finding | None:
    drawn = [s for s in done if s.head_shortened >= max(PULLED, UNDONE * min(s.head_update, 1.0))]
    if len(drawn) < UPDATES or len(drawn) <= len(done) / 2:
        return None
    low, share, high = quantiles([s.head_shortened for s in drawn], n=4)
    lengths = [s.head_found for s in drawn]
    # A constraint on the whole weight takes what the last update was too much, and leaves the same length each time.
    if high - low > ALIKE * share or max(lengths) <= (1 + ONE_LENGTH) * min(lengths):
        return None
    return Finding(
        f"before {len(drawn)} of {len(done)} updates the head was drawn back, by nearly the same share each time: "
        f"{share:.2g} of |w|, an update changes {typical(drawn, 'head_update'):.2g} (medians)",
        step=drawn[0].step,
        severity=grave_if_ce_fails(curve),
    )
