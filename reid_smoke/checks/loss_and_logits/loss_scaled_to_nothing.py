from math import isfinite, prod, sqrt

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.optimizer_and_schedule.weight_decay_eats_head import SHARE
from reid_smoke.checks.reading import typical
from reid_smoke.facts import ParameterFacts, ParameterRecord, StepFacts
from reid_smoke.rule import Curve

LEFT = 0.02  # of CE's gradient; losses that are averaged over heads or over accumulated batches leave a tenth and more
LEFT_OF_A_FACTOR = 0.002  # of a loss divided by the batches that it is accumulated over, some hundredths are left
NEAR_EPS = 1e-6  # of an element of the gradient: a hundred times Adam's eps, under which it divides by that instead


@check(
    "RS216", slug="loss-scaled-to-nothing", severity="fail", when="end", needs=[StepFacts, ParameterFacts, Curve],
    explains=["RS202", "RS203", "RS210", "RS401", "RS409"],
)  # fmt: skip
def loss_scaled_to_nothing(steps: list[StepFacts], parameters: list[ParameterFacts], curve: Curve) -> Finding | None:
    """The identity loss is scaled down until its gradient is nothing.

    What it means:
        The gradient at the classifier is far smaller than that of a cross-entropy averaged over the batch would be.
        On the way from CE to the loss it was divided once too often, multiplied with a tiny weight, or most of it was
        detached.

    Why it stops learning:
        With SGD the update shrinks by the same factor. Adam divides the factor out again, until the gradient comes near
        its eps, or near what weight decay adds to it.

    Mend:
        Print the loss beside CE: the two should be of one size. A mean is taken once, and sums hold the losses
        themselves, not their values:

            loss = F.cross_entropy(logits, labels)          # a mean already: no `/ len(labels)` after it
            loss = sum(F.cross_entropy(score, labels) for score in scores)

    Seen in:
        `reduction="mean"` divided by the batch's size again; `.mean()` over (B, C) of a hand-written CE, which divides
        by C too; warm-ups that scale the loss (layumi's) and never end.
    """
    head = next((p for p in parameters[-1].parameters if p.role == "head" and len(p.shape) >= 2), None)
    if head is None or curve.word not in ("flat", "slow"):
        return None
    seen = [s for s in steps if isfinite(s.head_grad_of_ce) and isfinite(s.head_grad) and s.head_grad_of_ce > 0]
    if seen:
        most = max(seen, key=lambda s: s.head_grad / s.head_grad_of_ce)
        share, limit = most.head_grad / most.head_grad_of_ce, LEFT
        what = (
            f"the head's gradient has a norm of {most.head_grad:.2g}, that of plain CE would be "
            f"{most.head_grad_of_ce:.2g}: {share:.1e} of it is left (the most of {len(seen)} steps looked at)"
        )
    else:
        # What a normalised head's gradient would be is not worked out; the factors before CE are read off the graph.
        seen = [s for s in steps if isfinite(s.ce_weight) and isfinite(s.head_grad)]
        if not seen:
            return None
        most = max(seen, key=lambda s: abs(s.ce_weight))
        share, limit = abs(most.ce_weight), LEFT_OF_A_FACTOR
        what = f"CE enters the loss times {share:.1e} (the most of {len(seen)} steps)"
    if not 0 < share <= limit or _forgiven(head, parameters[-1].optimizer.lower(), seen):
        return None
    return Finding(f"{what}; the loss reads {most.loss:.3g}, CE {most.ce:.3g}", step=most.step)


def _forgiven(head: ParameterRecord, optimizer: str, seen: list[StepFacts]) -> bool:
    """Adam divides by the gradient's own size, as long as that is more than its eps and than weight decay's share."""
    gradient, norm = typical(seen, "head_grad"), typical(seen, "head_norm")
    if "adam" not in optimizer or gradient is None:
        return False
    small = gradient / sqrt(prod(head.shape)) < NEAR_EPS
    eaten = "adamw" not in optimizer and (head.weight_decay or 0.0) * (norm or 0.0) >= SHARE * gradient
    return not (small or eaten)
