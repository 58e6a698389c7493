from statistics import median

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import figures, typical
from reid_smoke.facts import StepFacts
from reid_smoke.rule import Curve

STEPS = 20
LEFT = 1e-2  # share of the gradient that clipping leaves; ReID code clips at norms of 1 to 35 and leaves over a tenth
STILL = 1e-4  # |dw|/|w| of a step under which a head does not move


@check(
    "RS309", slug="clipped-to-nothing", severity="fail", needs=[StepFacts], uses=[Curve],
    explains=["RS202", "RS203", "RS401", "RS409"],
)  # fmt: skip
def clipped_to_nothing(steps: list[StepFacts], curve: Curve) -> Finding | None:
    """Clipping leaves next to nothing of the gradient.

    What it means:
        The limit lies far below the gradient's norm, so that every step is cut down to a small fraction.

    Why it stops learning:
        With SGD the update shrinks by the same factor. Adam divides by the gradient's own size and so forgives much,
        until the gradient comes near its eps of 1e-8.

    Mend:
        Clip only what sticks out: log the norm that `clip_grad_norm_` returns for a hundred steps and set the limit at
        twice its median, or leave clipping out.

    Seen in:
        `max_norm=1e-2` copied from a code base that sums its loss over the batch.
    """
    # Where no optimizer of torch's is seen, one of another kind steps, and clipping shows by its own figures only.
    unseen = not any(s.applied for s in steps)
    clipped = [s for s in steps if s.clip_at is not None and (s.applied or unseen)]
    if len(clipped) < STEPS:
        return None
    recent = clipped[-STEPS:]
    if unseen:
        return _by_its_own_figures(recent, curve)
    # A memory takes a head's place in some trainings, and no gradient.
    part = "head" if typical(recent, "head_grad") is not None else "backbone"
    before, after = typical(recent, f"{part}_grad"), typical(recent, f"{part}_grad_applied")
    update = typical(recent, f"{part}_update")
    if not before or after is None or update is None or after > LEFT * before:
        return None
    # What moves the head then is weight decay, or an Adam that forgives: CE tells which.
    if update > STILL and curve.word not in ("flat", "slow", "rises"):
        return None
    total = figures(recent, "grad_norm_total")
    norm = f", norm over all {total[-1]:.3g}" if total else ""
    return Finding(
        f"clipped at {recent[-1].clip_at:g}{norm}: {after / before:.1e} of the {part}'s gradient is left, "
        f"and |dw|/|w| of the {part} is {update:.1e} a step",
        step=recent[-1].step,
    )


def _by_its_own_figures(recent: list[StepFacts], curve: Curve) -> Finding | None:
    shares = [s.clip_at / s.grad_norm_total for s in recent if s.clip_at is not None and s.grad_norm_total > 0]
    if not shares or median(shares) > LEFT or not recent[-1].head_moved > 0:
        return None
    if curve.word not in ("flat", "slow", "rises"):
        return None
    return Finding(
        f"clipped at {recent[-1].clip_at:g}, norm over all {recent[-1].grad_norm_total:.3g}: {median(shares):.1e} of "
        f"the gradient is left, and |w| of the head moved {recent[-1].head_moved:.1e} of itself in "
        f"{recent[-1].step} steps",
        step=recent[-1].step,
    )
