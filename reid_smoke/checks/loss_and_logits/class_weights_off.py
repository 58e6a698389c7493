from math import isfinite

from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import GraphFacts, StepFacts
from reid_smoke.rule import Curve

MOST = 1 / 2  # of the identities; a few are left out on purpose, such as one for the background


@check(
    "RS214", slug="class-weights-off", severity="fail", needs=[GraphFacts, StepFacts], uses=[Curve],
    explains=["RS201", "RS202", "RS203", "RS204", "RS208", "RS210", "RS311", "RS312", "RS401", "RS403", "RS503"],
)  # fmt: skip
def class_weights_off(graphs: list[GraphFacts], steps: list[StepFacts], curve: Curve) -> Finding | None:
    """The loss's weights for the classes are 0 for most identities, or no numbers.

    What it means:
        The loss multiplies each image's share with a weight for its identity, and divides the sum by the sum of these
        weights. Most of them are 0, or some of them are infinite or NaN.

    Why it stops learning:
        Nobody with a weight of 0 is learnt, and a batch of such people alone is 0 / 0, which is NaN. An infinite weight
        makes NaN as soon as its identity comes up, or at once with label smoothing. Where CE falls all the same, this
        is a warning.

    Mend:
        Print the weights, and look for an integer division, for counts that were made with pids and not with labels,
        and for an identity without images, whose inverse frequency is 1 / 0:

            counts = torch.bincount(labels, minlength=num_classes).clamp_min(1)
            weight = counts.sum() / (num_classes * counts)

    Seen in:
        Weights from inverse frequencies, where the head is wider than the labels.
    """
    last = graphs[-1]
    off = []
    if last.weights_zero is not None and last.weights_zero > MOST * last.num_classes:
        off.append(f"{last.weights_zero} of {last.num_classes} identities have a weight of 0 in the loss")
    if last.weights_not_finite:
        off.append(f"{last.weights_not_finite} of {last.num_classes} weights in the loss are infinite or NaN")
    if not off:
        return None
    off.append(f"at step {steps[-1].step} it reads {steps[-1].loss:.3g}")
    # A NaN ends the run before the window has closed, and with that before the curve says anything.
    severity = grave_if_ce_fails(curve) if isfinite(steps[-1].loss) else None
    return Finding("; ".join(off), step=last.step, severity=severity)
