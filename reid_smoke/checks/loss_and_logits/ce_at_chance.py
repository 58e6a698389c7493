from math import log

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.rule import Curve
from reid_smoke.trend import falling_p, slope

FALLS_AT_LAST = 0.05  # p of the window's own trend, for a hint only


@check("RS202", slug="ce-at-chance", severity="fail", when="end", needs=[Curve])
def ce_at_chance(curve: Curve) -> Finding | None:
    """CE stays where it began, and nothing else explains it.

    What it means:
        After the window the model tells identities apart no better than by guessing among all C of them, which costs
        log C nats. Where this stands alone, gradient, optimizer and wiring were looked at and are in order.

    Why it stops learning:
        What is left is the data: labels that have nothing to do with the images, images that all look alike to the
        model, or features that carry nothing.

    Mend:
        Try `reid-smoke overfit --n 256`. If that passes, the optimizer and the gradient work, and the labels or the
        schedule do not: look at a few images beside their labels. If it fails too, the model sees nothing in the
        images. Where the evidence says that CE falls within the window, try the later window first: a backbone that
        is frozen for the first epochs, or a rough start without pretrained weights, only delays it.

    Seen in:
        torchreid #357 (6.66 = log 782); strong-baseline #54; TOPICTrack #10; FairMOT #347, #359.
    """
    if curve.word != "flat" or curve.ce.window_mean is None or curve.ce.first is None or not curve.rule.num_classes:
        return None
    rule, ce = curve.rule, curve.ce
    return Finding(
        f"CE {ce.first:.3f} at the start, {ce.window_mean:.3f} over steps {rule.window[0]} to {rule.window[1]}; "
        f"log {rule.num_classes} = {log(rule.num_classes or 1):.3f}{_late(curve)}",
        step=rule.window[1],
    )


def _late(curve: Curve) -> str:
    """Where CE falls within the window at last: by how much, and the window after it."""
    begin, end = curve.rule.window
    inside = [ce for step, ce in curve.ce.curve if begin <= step <= end]
    per_step = slope(inside)
    if per_step is None or per_step >= 0 or falling_p(inside) >= FALLS_AT_LAST:
        return ""
    return (
        f"; within the window CE falls by {-100 * per_step:.2f} per 100 steps, so it may only start late: "
        f"see --window {end}:{2 * end - begin}"
    )
