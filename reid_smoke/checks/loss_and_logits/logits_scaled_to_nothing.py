from math import exp, log

from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import NARROW, figures, typical
from reid_smoke.facts import GraphFacts, StepFacts
from reid_smoke.rule import Curve

SCALE = 0.1  # a factor under which the head must grow ten times as large for the same logits
FLOOR = 0.25  # of log C: what CE cannot fall below, however well everything is learnt
ROUNDING = 1e-3
STILL_NARROW = 0.5  # of logits whose feature is normalised to length 1 throughout: they are on their way, and too slow
LENGTH = 1.0  # of the feature, times the factor: a cosine between -1 and 1, where the usual scale is 16 to 64


@check(
    "RS207", slug="logits-scaled-to-nothing", severity="fail", when="end", needs=[StepFacts, GraphFacts],
    uses=[Curve], explains=["RS202", "RS203", "RS401", "RS502"],
)  # fmt: skip
def logits_scaled_to_nothing(steps: list[StepFacts], graphs: list[GraphFacts], curve: Curve) -> Finding | None:
    """The logits are scaled down until they say nothing.

    What it means:
        The logits lie close together after the whole window, and not for a lack of steps: a factor stands between the
        classifier and the loss, the feature is normalised to length 1 and nothing scales it up again, or the norm
        before the classifier begins with a weight of 0, and multiplies with next to nothing ever since.

    Why it stops learning:
        The softmax of numbers that are nearly equal is nearly uniform, whatever their order is. And the same factor
        shrinks the gradient on its way back.

    Mend:
        Multiply cosines with a scale of 16 to 64 (ArcFace: 64; CLIP: 100; the BN feature of this project: a norm of 8).
        A temperature divides: `logits / 0.05` widens, `logits * 0.05` narrows.

            logits = 30.0 * F.linear(F.normalize(feature), F.normalize(self.weight))

        Where the classifier's input began at 0, look at the neck's initialisation: `nn.init.ones_(bottleneck.weight)`;
        a weight of 0 belongs to the last norm of a residual branch only.

    Seen in:
        Cosine heads ported without their scale; SDM's `1 / 0.02` written as `* 0.02`.
    """
    recent = steps[-20:]
    spread, length = typical(recent, "logit_std"), typical(recent, "feat_norm")
    scale = graphs[-1].logit_scale
    lengthened = graphs[-1].lengths_given_back
    if graphs[-1].unit_lengths and scale is not None and not lengthened:
        classes = graphs[-1].num_classes
        # The right cosine 1 and all others -1 is the best there is.
        floor = log(1 + (classes - 1) * exp(-2 * abs(scale)))
        if floor > FLOOR * log(classes):
            return Finding(
                f"the logits are cosines times {abs(scale):.3g}: CE cannot fall below {floor:.2f} "
                f"(log {classes} = {log(classes):.2f})",
                step=graphs[-1].step,
                severity=grave_if_ce_fails(curve),
            )
    factor = abs(scale) if scale is not None else 1.0
    norms = figures(steps, "feat_norm")
    unit = bool(norms) and factor <= 1 and not lengthened and all(abs(norm - 1) < ROUNDING for norm in norms)
    if curve.word not in ("flat", "slow") or spread is None or spread > (STILL_NARROW if unit else NARROW):
        return None
    at_first = typical(steps[:5], "feat_norm")
    lengths_seen = [seen for seen in (at_first, length) if seen is not None]  # what shrank on the way was not scaled
    short = bool(lengths_seen) and not lengthened and max(lengths_seen) * factor <= LENGTH * (1 + ROUNDING)
    if factor > SCALE and not short:
        return None
    lengths = f", the classifier's input has a norm of {length:.3g}" if length is not None else ""
    if norms and norms[0] == 0:
        lengths += " that began at 0"
    return Finding(
        f"the logits are multiplied with {factor:.3g}{lengths}, and spread by {spread:.3g} after {steps[-1].step} "
        f"steps, in which |w| moved {recent[-1].head_moved:.2g} of itself",
        step=steps[-1].step,
    )
