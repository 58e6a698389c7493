from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import typical
from reid_smoke.facts import GraphFacts, RunFacts, StepFacts

STEPS = 5
OFF = 2.0  # times longer or shorter; dropout before the head makes it 1.4 times as long


@check(
    "RS502", slug="feature-norm-off", severity="fail", needs=[RunFacts, StepFacts], uses=[GraphFacts],
    explains=["RS202", "RS203"],
)  # fmt: skip
def feature_norm_off(runs: list[RunFacts], steps: list[StepFacts], graphs: list[GraphFacts]) -> Finding | None:
    """The BN feature does not have the norm that was planned.

    What it means:
        The config scales the feature to a fixed norm before the classifier, and the classifier's input has another.

    Why it stops learning:
        The logits are as large as the feature: at half the norm the head must grow twice as much, at several times
        the norm a learning rate of 1e-2 overshoots.

    Mend:
        Scale after the batch norm, as the last thing before the classifier: `8.0 * F.normalize(bn(feature))`. A norm
        near 0 means that the feature itself is dead.

    Seen in:
        A head at 1e-2 without the scaling, on 1024 wide features: norm 31, CE from 6.0 to 15.
    """
    planned = runs[0].feat_norm
    measured = typical(steps[-STEPS:], "feat_norm")
    if planned is None or measured is None or len(steps) < STEPS or planned / OFF <= measured <= planned * OFF:
        return None
    if graphs and graphs[-1].unit_lengths:  # a head that makes cosines scales by itself
        return None
    return Finding(f"Feat(BN) has a norm of {measured:.3g}, planned {planned:g}", step=steps[-1].step)
