from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import listed, typical
from reid_smoke.facts import ModeFacts, StepFacts
from reid_smoke.rule import Curve


@check(
    "RS508", slug="dropout-of-one", severity="fail", needs=[ModeFacts, StepFacts],
    uses=[Curve],
    explains=["RS202", "RS203", "RS207", "RS311", "RS312", "RS401", "RS502", "RS503"],
)  # fmt: skip
def dropout_of_one(modes: list[ModeFacts], steps: list[StepFacts], curve: Curve) -> Finding | None:
    """A dropout drops everything.

    What it means:
        Its `p` is 1: the share that is dropped was taken for the share that is kept.

    Why it stops learning:
        Zeros come out of it, and a gradient of zeros goes back. A dropout that is built and never called does no harm;
        then this is a warning.

    Mend:
        `p` is what is dropped: keep it at 0.5 or less, or leave the layer out.

            nn.Dropout(p=0.5)

    Seen in:
        TensorFlow 1's `keep_prob=1.0` ported as `p=1.0`; layumi's models have a dropout before the classifier.
    """
    names = modes[-1].drop_everything
    if not names:
        return None
    norm = typical(steps[-5:], "feat_norm")
    dead = norm == 0
    return Finding(
        f"{listed(names)}: p = 1" + (f"; the classifier's input has a norm of {norm:g}" if norm is not None else ""),
        step=modes[-1].step,
        severity="fatal" if dead and len(steps) >= 5 else grave_if_ce_fails(curve),
    )
