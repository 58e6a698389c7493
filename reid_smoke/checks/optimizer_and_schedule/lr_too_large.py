from math import isfinite, log
from statistics import fmean

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import typical
from reid_smoke.facts import GraphFacts, StepFacts
from reid_smoke.rule import BELOW_CHANCE

BLOCK = 10  # steps
CLIMBED = 1.0  # nats above both chance and the start: wrong answers given with assurance

OF_A_MEMORY = """\
Look at the memory first, since no optimizer steps it. CE of the first batch after it was filled tells where. If that is
far above chance already, its rows are in another order than the labels: `centers[i]` for sorted labels i, not in the
order of a dict. If CE climbs only from there, updates go to wrong rows; each image moves the row of its own label:

    for feature, label in zip(features, labels):           # not: for row, feature in enumerate(features)
        memory[label] = F.normalize(momentum * memory[label] + (1 - momentum) * feature, dim=0)

If it is neither, divide the learning rate by ten, or take a higher temperature."""


@check(
    "RS403",
    slug="lr-too-large",
    severity="fail",
    needs=[StepFacts, GraphFacts],
    explains=["RS201", "RS202", "RS203", "RS204"],
)
def lr_too_large(steps: list[StepFacts], graphs: list[GraphFacts]) -> Finding | None:
    """The learning rate is too large.

    What it means:
        CE has climbed far above chance: each step overshoots, and the model grows surer of wrong answers.

    Why it stops learning:
        The update is larger than the slope that it follows holds for. It ends in NaN, or in a CE that stays high.

    Mend:
        Divide the learning rate by ten. A head at 1e-2 needs a BN feature of bounded norm: scale it to 8
        (`feat_norm: 8.0`), since with a norm of 31 CE climbed from 6.0 to 15 in 300 steps.

    Seen in:
        MAR #5; fast-reid #111, #529 (NaN).
    """
    finite = [s for s in steps if isfinite(s.ce)]
    if len(finite) < 3 * BLOCK:
        return None
    chance = log(graphs[-1].num_classes)
    start, end = finite[0].ce, fmean(s.ce for s in finite[-len(finite) // 3 :])
    top, where = max((fmean(s.ce for s in finite[i : i + BLOCK]), i) for i in range(0, len(finite) - BLOCK + 1, 5))
    if top < max(start, chance) + CLIMBED or end < chance - BELOW_CHANCE:
        return None
    recent = finite[-BLOCK:]
    steps_taken = [u for u in (typical(finite, name) for name in ("head_update", "backbone_update")) if u is not None]
    if steps_taken and max(steps_taken) == 0:
        return None  # what never moves does not overshoot
    lr, update, norm = (typical(recent, name) for name in ("lr_head", "head_update", "feat_norm"))
    climb = (
        f"CE went from {start:.2f} to {top:.2f} around step {finite[where + BLOCK // 2].step}, chance is {chance:.2f}"
    )
    parts = [climb if top > end + 1 else f"CE went from {start:.2f} to {end:.2f}, chance is {chance:.2f}"]
    parts += [f"head lr {lr:.3g}"] if lr is not None else []
    parts += [f"|dw|/|w| {update:.1e} a step"] if update is not None else []
    parts += [f"the classifier's input has a norm of {norm:.1f}"] if norm is not None else []
    if graphs[-1].head is not None or lr is not None:
        return Finding("; ".join(parts), step=finite[-1].step)
    parts += ["the classes are no weight that an optimizer steps, but a memory"]
    return Finding("; ".join(parts), step=finite[-1].step, mend=OF_A_MEMORY)
