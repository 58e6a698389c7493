from math import isfinite
from statistics import median

from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.gradient_flow.clipped_to_nothing import LEFT
from reid_smoke.checks.reading import figures, is_narrow, typical
from reid_smoke.facts import StepFacts
from reid_smoke.rule import Curve

# Of the gradient at the feature. CE beside a triplet loss, both at 1, has 0.2 to 0.9; under 1 in 50 it is less than the
# other loss differs from batch to batch.
SHARE = 0.02
SQUEEZED = 0.5  # of the head's gradient is left by clipping
TIMES = 30  # CE's weight, of a loss with soft targets on the same logits; distilling is done with 1 to 10
LEARNT = 0.1  # of log C, under which CE has no gradient to speak of
MANY_TIMES = 1000  # the loss over CE; CE summed over a batch is its size, a few hundred, and its share stays 1
BEARABLE = 10  # the loss over log C, where CE passes all the same: SDM at a temperature of 0.02 is as large as that


@check(
    "RS210", slug="ce-drowned", severity="fail", needs=[StepFacts],
    uses=[Curve],
    explains=["RS201", "RS202", "RS203", "RS204", "RS309", "RS311", "RS401", "RS403", "RS503"],
)  # fmt: skip
def ce_drowned(steps: list[StepFacts], curve: Curve) -> Finding | None:
    """Another loss drowns the identity loss.

    What it means:
        Where the losses meet, at the feature, nearly all of the gradient is another loss's. Or a loss with a teacher's
        soft targets is given the same logits and a weight so large that labels do not count beside it.

    Why it stops learning:
        The backbone follows the other loss alone. If that one is content with a collapsed or shrinking feature, the
        head has nothing to go by. A teacher that knows nothing yet holds the student where it is.

    Mend:
        Log the losses one by one, and weigh them so that none is more than ten times as large as CE; a centre loss
        has a weight of 5e-4 in strong-baseline. A loss that is summed over the batch or over pairs wants a mean. While
        the head warms up, leave the others out altogether.

    Seen in:
        torchreid #357 (weights of CE and triplet); centre losses without their small weight.
    """
    broken = not isfinite(steps[-1].ce)
    if _has_put_out(steps):
        broken, steps = True, _with_a_gradient(steps)
    if curve.word == "short" and not broken:
        return None  # too early to say whether CE bears it
    times_labels = typical(steps, "soft_over_labels")
    if times_labels is not None and times_labels > TIMES and grave_if_ce_fails(curve) == "fail":
        return Finding(
            f"a loss with soft targets on the same logits weighs {times_labels:.3g} times as much as CE (median of "
            f"{len(figures(steps, 'soft_over_labels'))} steps)",
            step=steps[-1].step,
        )
    size = median([abs(s.loss) for s in steps if isfinite(s.loss)] or [0.0]) / (curve.rule.chance_ce or 1.0)
    blown_up = size > MANY_TIMES  # no loss that belongs there is, be the head empty or not
    told = steps if broken or blown_up or _is_squeezed(steps) else [s for s in steps if _tells(s, curve)]
    share = typical(told, "ce_share")
    if share is None or (told is not steps and is_narrow(steps[:5]) and is_narrow(steps[-20:])):
        return None
    # A loss that overshoots is large at one step and flat at the next: its gradient comes and goes, its size stays.
    least, times = min(figures(told, "ce_share")), _times_ce(told)
    if share > SHARE and not (least <= SHARE and times > MANY_TIMES):
        return None
    gravity = "fail" if broken else grave_if_ce_fails(curve)
    if gravity == "warn" and size <= BEARABLE:
        return None
    # Where the limit would leave nothing of CE's own gradient either, it is the clipping that is at fault.
    gradient, limit = typical(steps, "head_grad"), typical(steps, "clip_at")
    clipped_anyway = gradient is not None and limit is not None and limit < LEFT * gradient
    return Finding(
        f"{share:.1e} of the gradient at the feature is CE's (median of {len(figures(told, 'ce_share'))} steps, the "
        f"least {least:.1e}); the loss is {times:.3g} times CE (median), {steps[-1].loss:.3g} and {steps[-1].ce:.3g} "
        "at the last step",
        step=steps[-1].step,
        severity="warn" if clipped_anyway else gravity,
    )


def _with_a_gradient(steps: list[StepFacts]) -> list[StepFacts]:
    return [s for s in steps if s.head_grad > 0]


def _has_put_out(steps: list[StepFacts]) -> bool:
    """The other loss was so large that the feature is nothing by now, and CE has no gradient left to go on with."""
    alive = _with_a_gradient(steps)
    shares = figures(alive, "ce_share")
    return steps[-1].head_grad == 0 and bool(shares) and 0 < shares[0] <= SHARE and _times_ce(alive) > MANY_TIMES


def _tells(step: StepFacts, curve: Curve) -> bool:
    """CE has a gradient to be drowned: the head is not as good as empty, and not everything is learnt."""
    return not is_narrow([step]) and step.ce > LEARNT * (curve.rule.chance_ce or 0.0)


def _is_squeezed(steps: list[StepFacts]) -> bool:
    """Other losses keep the head from learning, by making the whole gradient's norm so large that clipping leaves it
    little of its own.

    Without that, a head that is as good as empty has not begun, and its steps say nothing of drowning: CE's gradient at
    the feature is as long as the head's weights are.
    """
    raw, applied = typical(steps, "head_grad"), typical(steps, "head_grad_applied")
    return raw is not None and applied is not None and applied < SQUEEZED * raw


def _times_ce(steps: list[StepFacts]) -> float:
    """The loss over CE, the median of the steps at which both are numbers; 0 where there is none."""
    ratios = [abs(s.loss) / s.ce for s in steps if isfinite(s.loss) and isfinite(s.ce) and s.ce > 0]
    return median(ratios) if ratios else 0.0
