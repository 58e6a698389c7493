from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import compared, first_run, listed, typical
from reid_smoke.facts import ModeFacts, StepFacts
from reid_smoke.rule import Curve

STEPS = 5


@check(
    "RS508", slug="dropout-of-one", severity="fail", needs=[ModeFacts, StepFacts],
    uses=[Curve],
    explains=["RS202", "RS203", "RS204", "RS207", "RS210", "RS311", "RS312", "RS401", "RS417", "RS502", "RS503"],
)  # fmt: skip
def dropout_of_one(modes: list[ModeFacts], steps: list[StepFacts], curve: Curve) -> Finding | None:
    """A dropout drops everything, or nearly so.

    What it means:
        Its `p` is 1, or close to it: the share that is dropped was taken for the share that is kept. Or the
        classifier's input is exactly 0 although the neck before it varies, as `F.dropout` or a mask of zeros between
        the two leaves it.

    Why it stops learning:
        Zeros come out of it, and a gradient of zeros goes back. With p = 0.99 one channel in a hundred comes through, a
        hundred times as large, and another one each time: CE jumps about above chance. A dropout that is built and
        never called does no harm; then this is a warning.

    Mend:
        `p` is what is dropped: keep it at 0.5 or less, or leave the layer out.

            nn.Dropout(p=0.5)

    Seen in:
        TensorFlow 1's `keep_prob` ported as `p`; layumi's models have a dropout before the classifier.
    """
    names = modes[-1].drop_everything
    lost = first_run(compared(steps), lambda s: s.feat_norm == 0 and s.channels_alive > 0, STEPS)
    if not names and lost is None and modes[-1].drop_most:
        most = [f"{name}: p = {p:g}" for name, p in modes[-1].drop_most]
        return Finding(listed(most), step=modes[-1].step, severity=grave_if_ce_fails(curve))
    if not names:  # a dropout that is no module: F.dropout, or a mask by hand
        if lost is None:
            return None
        return Finding(
            f"{lost.channels_alive:.0%} of the channels before it vary within the batch, and the classifier's input "
            f"has a norm of 0 in {STEPS} batches looked at one after the other: what lies between the two multiplies "
            "with 0",
            step=lost.step,
            severity="fatal",
        )
    norm = typical(steps[-5:], "feat_norm")
    dead = norm == 0
    return Finding(
        f"{listed(names)}: p = 1" + (f"; the classifier's input has a norm of {norm:g}" if norm is not None else ""),
        step=modes[-1].step,
        severity="fatal" if dead and len(steps) >= 5 else grave_if_ce_fails(curve),
    )
